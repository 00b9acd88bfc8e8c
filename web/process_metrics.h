// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_PROCESS_METRICS_H_
#define KINSOCK_WEB_PROCESS_METRICS_H_

#include "web/metric_writer.h"

namespace kinsock {

// The metrics that every program has, process_*, from /proc (proc(5)). Those that cannot be read are left out. Reads
// files: not for a reactor, nor for main. Any thread else.
void WriteProcessMetrics(MetricWriter& out);

}  // namespace kinsock

#endif  // KINSOCK_WEB_PROCESS_METRICS_H_
