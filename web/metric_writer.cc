// SPDX-License-Identifier: Apache-2.0
#include "web/metric_writer.h"

#include <prometheus/text_serializer.h>

#include <limits>

namespace kinsock {

MetricWriter::Family::Family(MetricWriter& writer, prometheus::MetricType type, std::string name, std::string help)
    : writer_(writer) {
  family_.type = type;
  family_.name = std::move(name);
  family_.help = std::move(help);
}

MetricWriter::Family::~Family() {
  if (family_.metric.empty()) return;
  prometheus::TextSerializer().Serialize(writer_.out_, {std::move(family_)});
}

MetricWriter::Family& MetricWriter::Family::Add(double value, MetricLabels labels) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  if (family_.type == prometheus::MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  family_.metric.push_back(std::move(metric));
  return *this;
}

MetricWriter::Family& MetricWriter::Family::AddHistogram(const std::vector<double>& bounds,
                                                         const std::vector<uint64_t>& counts, double sum,
                                                         MetricLabels labels) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  uint64_t seen = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    seen += counts[i];
    metric.histogram.bucket.push_back({seen, i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity()});
  }
  metric.histogram.sample_count = seen;
  metric.histogram.sample_sum = sum;
  family_.metric.push_back(std::move(metric));
  return *this;
}

}  // namespace kinsock
