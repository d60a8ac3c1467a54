#pragma once

#include <cstdint>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace tidemark::http {

/// The families of one page, built one value at a time.
class MetricsPage {
 public:
  /// Begins a family; the values that follow belong to it.
  void family(const char* name, prometheus::MetricType type, const char* help) { families_.push_back({name, help, type, {}}); }

  using Labels = std::vector<prometheus::ClientMetric::Label>;
  void value(double value, Labels labels = {}) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    if (families_.back().type == prometheus::MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    families_.back().metric.push_back(std::move(metric));
  }
  void value(std::uint64_t number, Labels labels = {}) { value(static_cast<double>(number), std::move(labels)); }

  void histogram(const std::vector<std::pair<double, std::uint64_t>>& cumulative, std::uint64_t count, double sum) {
    prometheus::ClientMetric metric;
    for (const auto& [upper, below] : cumulative) metric.histogram.bucket.push_back({below, upper});
    metric.histogram.sample_count = count;
    metric.histogram.sample_sum = sum;
    families_.back().metric.push_back(std::move(metric));
  }

  std::string text() const {
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families_);  // A family without values is its help and type, which is valid.
    return std::move(out).str();
  }

 private:
  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace tidemark::http
