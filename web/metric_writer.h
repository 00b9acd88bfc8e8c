// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_METRIC_WRITER_H_
#define KINSOCK_WEB_METRIC_WRITER_H_

#include <prometheus/metric_family.h>

#include <cstdint>
#include <initializer_list>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/duration_histogram.h"

namespace kinsock {

using MetricLabels = std::vector<prometheus::ClientMetric::Label>;

// Writes metrics in the text format of Prometheus, a family at a time: those of 16,384 VMs would take gigabytes as
// objects of the library all at once.
//
//     writer.Counter("kinsock_vms", "VMs.").Add(3, {{"state", "ACTIVE"}});
//
// One thread.
class MetricWriter {
 public:
  // One family; written when it goes out of scope, unless nothing was added.
  class Family {
   public:
    Family(MetricWriter& writer, prometheus::MetricType type, std::string name, std::string help);
    ~Family();
    Family(const Family&) = delete;
    Family& operator=(const Family&) = delete;

    Family& Add(double value, MetricLabels labels = {});
    Family& AddHistogram(const DurationCounts& durations, MetricLabels labels = {});

   private:
    MetricWriter& writer_;
    prometheus::MetricFamily family_;
  };

  Family Counter(std::string name, std::string help) {
    return {*this, prometheus::MetricType::Counter, std::move(name), std::move(help)};
  }
  Family Gauge(std::string name, std::string help) {
    return {*this, prometheus::MetricType::Gauge, std::move(name), std::move(help)};
  }
  Family Histogram(std::string name, std::string help) {
    return {*this, prometheus::MetricType::Histogram, std::move(name), std::move(help)};
  }

  // Once.
  std::string Take() { return std::move(out_).str(); }

 private:
  std::ostringstream out_;
};

}  // namespace kinsock

#endif  // KINSOCK_WEB_METRIC_WRITER_H_
