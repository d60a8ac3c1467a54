// What the machine itself can do: the figures everything else is held against. Plain system calls, none of our code.
//
//     probe flush DIR COUNT             4 KiB append + fdatasync, one at a time: milliseconds p50, p99
//     probe write DIR MIB CHUNK_KIB     append in chunks, each flushed: MB/s
//     probe loopback MIB                one TCP connection through loopback: MB/s
//     probe send FILE                   read a file and send it through loopback: MB/s

#include <algorithm>
#include <arpa/inet.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMiB = 1024 * 1024;

double seconds_since(Clock::time_point began) { return std::chrono::duration<double>(Clock::now() - began).count(); }

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

int open_scratch(const std::string& directory) {
  const std::string path = directory + "/probe.tmp";
  const int file = open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) die(path.c_str());
  unlink(path.c_str());
  return file;
}

void write_all(int file, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t n = write(file, data, size);
    if (n <= 0) die("write");
    data += n;
    size -= static_cast<std::size_t>(n);
  }
}

void probe_flush(const std::string& directory, std::size_t count) {
  const int file = open_scratch(directory);
  const std::vector<char> block(4096, 'x');
  std::vector<double> samples;
  for (std::size_t i = 0; i < count; ++i) {
    const auto began = Clock::now();
    write_all(file, block.data(), block.size());
    if (fdatasync(file) != 0) die("fdatasync");
    samples.push_back(1000 * seconds_since(began));
  }
  std::sort(samples.begin(), samples.end());
  std::printf("{\"p50_ms\": %.4f, \"p99_ms\": %.4f}\n", samples[samples.size() / 2], samples[samples.size() * 99 / 100]);
  close(file);
}

void probe_write(const std::string& directory, std::size_t bytes, std::size_t chunk) {
  const int file = open_scratch(directory);
  std::vector<char> block(chunk);
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>(i * 2654435761u >> 24);
  const auto began = Clock::now();
  for (std::size_t done = 0; done < bytes; done += chunk) {
    write_all(file, block.data(), block.size());
    if (fdatasync(file) != 0) die("fdatasync");
  }
  std::printf("{\"mb_per_second\": %.1f}\n", static_cast<double>(bytes) / 1e6 / seconds_since(began));
  close(file);
}

/// A connected pair through loopback; the receiver counts and throws away.
struct Pipe {
  int sender = -1;
  std::thread receiver;
};

Pipe connect_loopback() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener, 1) != 0) die("listen");
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  Pipe pipe;
  pipe.receiver = std::thread([listener] {
    const int peer = accept(listener, nullptr, nullptr);
    std::vector<char> buffer(kMiB);
    while (read(peer, buffer.data(), buffer.size()) > 0) {
    }
    close(peer);
    close(listener);
  });
  pipe.sender = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(pipe.sender, reinterpret_cast<sockaddr*>(&address), size) != 0) die("connect");
  return pipe;
}

void probe_loopback(std::size_t bytes) {
  Pipe pipe = connect_loopback();
  const std::vector<char> block(kMiB, 'x');
  const auto began = Clock::now();
  for (std::size_t done = 0; done < bytes; done += block.size()) write_all(pipe.sender, block.data(), block.size());
  shutdown(pipe.sender, SHUT_WR);
  pipe.receiver.join();
  std::printf("{\"mb_per_second\": %.1f}\n", static_cast<double>(bytes) / 1e6 / seconds_since(began));
}

void probe_send(const char* path) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) die(path);
  Pipe pipe = connect_loopback();
  std::vector<char> block(kMiB);
  std::size_t bytes = 0;
  const auto began = Clock::now();
  for (;;) {
    const ssize_t n = read(file, block.data(), block.size());
    if (n < 0) die("read");
    if (n == 0) break;
    write_all(pipe.sender, block.data(), static_cast<std::size_t>(n));
    bytes += static_cast<std::size_t>(n);
  }
  shutdown(pipe.sender, SHUT_WR);
  pipe.receiver.join();
  std::printf("{\"mb_per_second\": %.1f}\n", static_cast<double>(bytes) / 1e6 / seconds_since(began));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const auto number = [&](int index) { return static_cast<std::size_t>(std::strtoull(argv[index], nullptr, 10)); };
  if (what == "flush" && argc == 4)
    probe_flush(argv[2], number(3));
  else if (what == "write" && argc == 5)
    probe_write(argv[2], number(3) * kMiB, number(4) * 1024);
  else if (what == "loopback" && argc == 3)
    probe_loopback(number(2) * kMiB);
  else if (what == "send" && argc == 3)
    probe_send(argv[2]);
  else {
    std::fprintf(stderr, "usage: probe flush DIR COUNT | write DIR MIB CHUNK_KIB | loopback MIB | send FILE\n");
    return 2;
  }
  return 0;
}
