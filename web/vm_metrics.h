// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_VM_METRICS_H_
#define KINSOCK_WEB_VM_METRICS_H_

#include "server/config/http_settings.h"
#include "web/daemon_sample.h"
#include "web/metric_writer.h"

namespace kinsock {

// What the devices have counted, twice: kinsock_<name> for all VMs together, those that are gone included, and
// kinsock_vm_<name>{vm=...,network=...} for each, as far as `per_vm` wants it. Pure function.
void WriteVmMetrics(const DaemonSample& sample, PerVmMetrics per_vm, MetricWriter& out);

}  // namespace kinsock

#endif  // KINSOCK_WEB_VM_METRICS_H_
