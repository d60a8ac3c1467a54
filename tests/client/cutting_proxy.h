#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace tidemark {

/// Stands between a client and a broker and cuts connections after a number of bytes, so that requests and answers are lost at every
/// imaginable place. Runs its own thread.
class CuttingProxy {
 public:
  /// For each connection, counted from 0: how many bytes it may carry in each direction before it is cut. Called on the proxy's thread.
  struct Budget {
    std::size_t to_broker = SIZE_MAX;
    std::size_t to_client = SIZE_MAX;
  };
  using Plan = std::function<Budget(int connection)>;

  CuttingProxy(std::uint16_t broker_port, Plan plan);
  ~CuttingProxy();
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()); }

 private:
  class Link;
  void accept();

  const std::uint16_t broker_port_;
  const Plan plan_;
  int connections_ = 0;
  boost::asio::io_context io_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::thread thread_;
};

}  // namespace tidemark
