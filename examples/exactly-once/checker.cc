// Reads both topics as any reader does, and proves that each payment has exactly one booking, the right one, and that the bookings of an
// account stand in the order of its payments.
//
//     exactly-once-checker [--server HOST:PORT] --payments N
#include <chrono>
#include <cstdint>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include <exactly_once/payment.h>
#include <tidemark/client.h>

namespace {

using tidemark::Error;
using tidemark::Result;

struct Topic {
  std::map<std::string, std::vector<std::string>> by_account;
  std::size_t records = 0;
  std::int64_t offsets = 0;  ///< Of all partitions: with what aborted transactions have left behind, and the markers of all.
};

Result<Topic> read(tidemark::Client& client, std::string_view name) {
  Topic topic;
  const auto described = client.admin().describe_topic(name);
  if (!described) return described.error();
  for (const tidemark::PartitionDescription& partition : described->partition_list) topic.offsets += partition.end - partition.log_start;
  tidemark::ReaderOptions options;
  options.from = tidemark::Position::earliest();
  options.to = tidemark::Position::latest();
  Result<tidemark::Reader> reader = client.reader(std::string(name), options);
  if (!reader) return reader.error();
  while (!reader->finished()) {
    const auto next = reader->next(std::chrono::seconds(10));
    if (!next) return next.error();
    if (!*next) continue;
    topic.by_account[std::string((*next)->key().value_or(""))].emplace_back((*next)->value().value_or(""));
    ++topic.records;
  }
  return topic;
}

/// The bookings that have to be there for the payments of one account, in order.
std::vector<std::string> expected(const std::vector<std::string>& payments) {
  std::vector<std::string> bookings;
  for (const std::string& value : payments) {
    const auto payment = exactly_once::parse_payment(value);
    bookings.push_back(payment ? exactly_once::booking_of(*payment) : "none for '" + value + "'");
  }
  return bookings;
}

bool fail(const std::string& why) {
  std::cout << "  FAIL  " << why << '\n';
  return false;
}

bool check(const Topic& payments, const Topic& bookings, std::size_t count) {
  if (payments.records != count) return fail(std::to_string(payments.records) + " payments, expected were " + std::to_string(count));
  bool right = payments.by_account.size() == bookings.by_account.size();
  for (const auto& [account, values] : payments.by_account) {
    const auto found = bookings.by_account.find(account);
    const std::vector<std::string> booked = found == bookings.by_account.end() ? std::vector<std::string>() : found->second;
    const std::vector<std::string> due = expected(values);
    if (booked == due) continue;
    std::size_t same = 0;
    while (same < due.size() && same < booked.size() && due[same] == booked[same]) ++same;
    right = fail(account + " has " + std::to_string(booked.size()) + " bookings for " + std::to_string(due.size()) +
                 " payments; they differ from number " + std::to_string(same) + " on");
  }
  if (!right) return fail("bookings and payments do not match");
  std::cout << "  ok    " << bookings.records << " bookings for " << payments.records << " payments of " << payments.by_account.size()
            << " accounts: each exactly once, in order; of the log's " << bookings.offsets << " offsets the other "
            << bookings.offsets - static_cast<std::int64_t>(bookings.records) << " are markers and aborted bookings, which nobody sees\n";
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  tidemark::ClientOptions options;
  options.server = exactly_once::argument(argc, argv, "--server").value_or(options.server);
  const std::size_t count = std::stoull(exactly_once::argument(argc, argv, "--payments").value_or("0"));
  tidemark::Client client(options);
  const Result<Topic> payments = read(client, exactly_once::kPayments);
  const Result<Topic> bookings = read(client, exactly_once::kBookings);
  for (const Result<Topic>* topic : {&payments, &bookings}) {
    if (*topic) continue;
    fail(topic->error().to_string());
    return 1;
  }
  return check(*payments, *bookings, count) ? 0 : 1;
}
