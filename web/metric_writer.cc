// SPDX-License-Identifier: Apache-2.0
#include "web/metric_writer.h"

#include <prometheus/text_serializer.h>

#include <chrono>
#include <limits>

namespace kinsock {
namespace {

double Seconds(std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

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

MetricWriter::Family& MetricWriter::Family::AddHistogram(const DurationCounts& durations, MetricLabels labels) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  uint64_t seen = 0;
  for (size_t i = 0; i < durations.counts.size(); ++i) {
    seen += durations.counts[i];
    const double bound =
        i < durations.bounds.size() ? Seconds(durations.bounds[i]) : std::numeric_limits<double>::infinity();
    metric.histogram.bucket.push_back({seen, bound});
  }
  metric.histogram.sample_count = seen;
  metric.histogram.sample_sum = Seconds(durations.sum);
  family_.metric.push_back(std::move(metric));
  return *this;
}

}  // namespace kinsock
