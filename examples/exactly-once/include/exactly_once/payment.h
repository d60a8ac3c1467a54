#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// What the two topics hold. The key is the account. A payment is "NUMBER CENTS", a booking "NUMBER CENTS FEE"; numbers are never used
/// twice.
namespace exactly_once {

inline constexpr std::string_view kPayments = "payments";
inline constexpr std::string_view kBookings = "bookings";

struct Payment {
  std::int64_t number = 0;
  std::int64_t cents = 0;
};

/// The transformation: 1.5 %, rounded down.
inline std::int64_t fee_of(const Payment& payment) { return payment.cents * 15 / 1000; }

inline std::string booking_of(const Payment& payment) {
  return std::to_string(payment.number) + " " + std::to_string(payment.cents) + " " + std::to_string(fee_of(payment));
}

inline std::optional<Payment> parse_payment(std::string_view value) {
  Payment payment;
  const char* const end = value.data() + value.size();
  const auto number = std::from_chars(value.data(), end, payment.number);
  if (number.ec != std::errc() || number.ptr == end || *number.ptr != ' ') return std::nullopt;
  const auto cents = std::from_chars(number.ptr + 1, end, payment.cents);
  if (cents.ec != std::errc() || cents.ptr != end) return std::nullopt;
  return payment;
}

/// The value behind `flag` on the command line.
inline std::optional<std::string> argument(int argc, char** argv, std::string_view flag) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (argv[i] == flag) return argv[i + 1];
  }
  return std::nullopt;
}

}  // namespace exactly_once
