#include "tests/client/cutting_proxy.h"

#include <algorithm>
#include <array>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

namespace tidemark {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

/// One connection and its twin to the broker; ends as a whole.
class CuttingProxy::Link : public std::enable_shared_from_this<Link> {
 public:
  Link(tcp::socket client, tcp::socket broker, Budget budget)
      : up_{std::move(client), budget.to_broker, {}}, down_{std::move(broker), budget.to_client, {}} {}

  void start() {
    pump(up_, down_);
    pump(down_, up_);
  }

 private:
  struct Side {
    tcp::socket socket;
    std::size_t budget;
    std::array<char, 16 * 1024> buffer;
  };

  void pump(Side& from, Side& to) {
    from.socket.async_read_some(asio::buffer(from.buffer), [self = shared_from_this(), &from, &to](error_code failed, std::size_t read) {
      const std::size_t passed = std::min(read, from.budget);
      from.budget -= passed;
      const bool cut = failed || passed < read;
      asio::async_write(to.socket, asio::buffer(from.buffer.data(), passed),
                        [self, &from, &to, cut](error_code lost, std::size_t) { cut || lost ? self->end() : self->pump(from, to); });
    });
  }
  void end() {
    error_code ignored;
    up_.socket.close(ignored);
    down_.socket.close(ignored);
  }

  Side up_, down_;
};

CuttingProxy::CuttingProxy(std::uint16_t broker_port, Plan plan)
    : broker_port_(broker_port), plan_(std::move(plan)), acceptor_(io_, {asio::ip::make_address("127.0.0.1"), 0}) {
  accept();
  thread_ = std::thread([this] { io_.run(); });
}

CuttingProxy::~CuttingProxy() {
  io_.stop();
  thread_.join();
}

void CuttingProxy::accept() {
  acceptor_.async_accept([this](error_code failed, tcp::socket client) {
    if (failed) return;
    const Budget budget = plan_(connections_++);
    tcp::socket broker(io_);
    error_code refused;
    broker.connect({asio::ip::make_address("127.0.0.1"), broker_port_}, refused);  // NOLINT: a test's own thread may wait.
    if (!refused) std::make_shared<Link>(std::move(client), std::move(broker), budget)->start();
    accept();
  });
}

}  // namespace tidemark
