// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_TOP_TOP_LOOK_H_
#define KINSOCK_CLI_TOP_TOP_LOOK_H_

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "api/kinsock/v1/connection_service.pb.h"
#include "cli/call/client.h"
#include "cli/schema/top_sample.pb.h"
#include "cli/top/top.h"

namespace kinsock {

// What the daemon has been seen to do, once.
struct TopSight {
  std::string what;                         // "vms", "pairs" or "conns"
  double seconds = 0;                       // that the rates of `rows` are of
  std::vector<TopRow> rows;                 // of VMs and pairs, sorted
  v1::ListConnectionsResponse connections;  // those that move most first; the daemon measures them itself
};

// For programs; of VMs and pairs.
ctl::TopSample ToSample(const TopSight& sight);

// Looks at the daemon again and again. Its first look has no rates. One thread.
class TopLooker {
 public:
  explicit TopLooker(Client& client) : client_(client) {}

  // `what`: as in TopSight; another one than before begins anew. `sort`: one of TopKeys().
  grpc::Status Look(const std::string& what, const std::string& sort, TopSight& sight);

 private:
  using Clock = std::chrono::steady_clock;

  double SecondsSince();
  grpc::Status LookAtVms(TopSight& sight);
  grpc::Status LookAtPairs(TopSight& sight);
  grpc::Status LookAtConnections(TopSight& sight);

  Client& client_;
  std::string what_;
  Top top_;
  std::optional<Clock::time_point> looked_at_;
};

}  // namespace kinsock

#endif  // KINSOCK_CLI_TOP_TOP_LOOK_H_
