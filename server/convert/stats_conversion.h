// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONVERT_STATS_CONVERSION_H_
#define KINSOCK_SERVER_CONVERT_STATS_CONVERSION_H_

#include "api/kinsock/v1/stats.pb.h"
#include "server/model/vm_stats.h"

namespace kinsock {

// Pure function; any thread.
v1::Stats ToProto(const VmStats& stats);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONVERT_STATS_CONVERSION_H_
