#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace tidemark::http {

/// The families of one page, built one value at a time. A family is written out when the next one begins, and its memory serves the next
/// one: a page of 10 000 partitions has 70 000 values, and making room for all of them was a third of its time.
class MetricsPage {
 public:
  /// The bytes are copied by the call that takes the label.
  struct Label {
    std::string_view name;
    std::string_view value;
  };

  /// Begins a family; the values that follow belong to it. The texts are literals.
  void family(const char* name, prometheus::MetricType type, const char* help) {
    write_family();
    one_.front().name = name;
    one_.front().help = help;
    one_.front().type = type;
    begun_ = true;
  }

  void value(double value, std::span<const Label> labels) {
    prometheus::ClientMetric& metric = next_metric();
    metric.label.resize(labels.size());
    for (std::size_t i = 0; i < labels.size(); ++i) {
      metric.label[i].name = labels[i].name;
      metric.label[i].value = labels[i].value;
    }
    metric.counter.value = value;
    metric.gauge.value = value;  // The type says which one is written.
  }
  void value(double number, std::initializer_list<Label> labels = {}) { value(number, std::span(labels.begin(), labels.size())); }
  void value(std::uint64_t number, std::initializer_list<Label> labels = {}) { value(static_cast<double>(number), labels); }

  void histogram(const std::vector<std::pair<double, std::uint64_t>>& cumulative, std::uint64_t count, double sum) {
    prometheus::ClientMetric& metric = next_metric();
    metric.label.clear();
    metric.histogram.bucket.clear();
    for (const auto& [upper, below] : cumulative) metric.histogram.bucket.push_back({below, upper});
    metric.histogram.sample_count = count;
    metric.histogram.sample_sum = sum;
  }

  /// The whole page. The last call.
  std::string text() {
    write_family();
    return std::move(out_).str();
  }

 private:
  prometheus::ClientMetric& next_metric() {
    std::vector<prometheus::ClientMetric>& metrics = one_.front().metric;
    if (used_ == metrics.size()) metrics.emplace_back();
    return metrics[used_++];
  }

  void write_family() {
    if (!begun_) return;
    one_.front().metric.resize(used_);                   // What is left of a longer family before.
    prometheus::TextSerializer().Serialize(out_, one_);  // A family without values is its help and type, which is valid.
    used_ = 0;
  }

  std::vector<prometheus::MetricFamily> one_{1};
  std::size_t used_ = 0;  ///< Values of the present family; those behind are of the one before.
  bool begun_ = false;
  std::ostringstream out_;
};

}  // namespace tidemark::http
