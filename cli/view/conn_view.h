// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_VIEW_CONN_VIEW_H_
#define KINSOCK_CLI_VIEW_CONN_VIEW_H_

#include <string>

#include "api/kinsock/v1/connection_service.pb.h"
#include "cli/text/options.h"

namespace kinsock {

// How connections are shown.

// All connections of `list` in any format. `with_rates`: the table has them; kWide always has.
std::string RenderConnections(const v1::ListConnectionsResponse& list, const Options& options, bool with_rates = false);

// What has become of one, as a line; nothing where the format has nothing for it.
std::string RenderConnectionChange(const v1::WatchConnectionsResponse& change, const Options& options);

}  // namespace kinsock

#endif  // KINSOCK_CLI_VIEW_CONN_VIEW_H_
