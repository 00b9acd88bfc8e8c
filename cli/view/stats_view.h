// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_VIEW_STATS_VIEW_H_
#define KINSOCK_CLI_VIEW_STATS_VIEW_H_

#include "api/kinsock/v1/stats.pb.h"
#include "cli/text/table.h"

namespace kinsock {

// One line for each number, called as in the API ("from_guest.host_bytes", "closes.FINISHED"). What has not happened
// is left out unless `zeros`.
Table MakeStatsTable(const v1::Stats& stats, bool zeros);

}  // namespace kinsock

#endif  // KINSOCK_CLI_VIEW_STATS_VIEW_H_
