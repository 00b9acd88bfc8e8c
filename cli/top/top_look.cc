// SPDX-License-Identifier: Apache-2.0
#include "cli/top/top_look.h"

#include <google/protobuf/util/time_util.h>

#include <cstdint>

#include "cli/call/ask.h"
#include "cli/top/vm_rates.h"

namespace kinsock {
namespace {

using google::protobuf::util::TimeUtil;
using Connections = v1::ConnectionService::Stub;

// Connections and pairs that are looked at: those with the most bytes. Nobody's screen has more lines.
constexpr int kMost = 1000;

}  // namespace

ctl::TopSample ToSample(const TopSight& sight) {
  ctl::TopSample sample;
  sample.set_what(sight.what);
  *sample.mutable_time() = TimeUtil::GetCurrentTime();
  *sample.mutable_interval() = TimeUtil::MillisecondsToDuration(static_cast<int64_t>(sight.seconds * 1000));
  for (const TopRow& row : sight.rows) {
    ctl::TopSample::Row& out = *sample.add_rows();
    out.set_name(row.name);
    out.set_state(row.state);
    out.set_connections(static_cast<uint32_t>(row.connections));
    out.set_receive_bytes_per_second(row.receive);
    out.set_transmit_bytes_per_second(row.transmit);
    out.set_connects_per_second(row.connects);
    out.set_stalls_per_second(row.stalls);
    if (sight.what == "vms") out.set_drops_per_second(row.drops);
  }
  return sample;
}

grpc::Status TopLooker::Look(const std::string& what, const std::string& sort, TopSight& sight) {
  if (what != what_) {
    top_ = Top();
    looked_at_ = std::nullopt;
    what_ = what;
  }
  sight = TopSight();
  sight.what = what;
  if (what == "conns") return LookAtConnections(sight);
  const grpc::Status status = what == "pairs" ? LookAtPairs(sight) : LookAtVms(sight);
  SortTop(sort, sight.rows);
  return status;
}

double TopLooker::SecondsSince() {
  const Clock::time_point now = Clock::now();
  const double seconds = looked_at_.has_value() ? std::chrono::duration<double>(now - *looked_at_).count() : 0;
  looked_at_ = now;
  return seconds;
}

grpc::Status TopLooker::LookAtVms(TopSight& sight) {
  v1::ListVmsRequest request;
  request.set_view(v1::FULL);
  v1::ListVmsResponse all;
  if (const grpc::Status status = ListAllVms(client_, request, all); !status.ok()) return status;
  sight.seconds = SecondsSince();
  sight.rows = top_.LookAtVms(all, sight.seconds);
  return grpc::Status::OK;
}

grpc::Status TopLooker::LookAtPairs(TopSight& sight) {
  v1::GetStatsRequest request;
  request.set_scope(v1::GetStatsRequest::PAIR);
  request.set_top(kMost);
  v1::StatsReport report;
  const grpc::Status status = Ask(client_, client_.connections(), &Connections::GetStats, request, report);
  if (!status.ok()) return status;
  sight.seconds = SecondsSince();
  sight.rows = top_.LookAtPairs(report, sight.seconds);
  return status;
}

grpc::Status TopLooker::LookAtConnections(TopSight& sight) {
  v1::ListConnectionsRequest request;
  request.set_page_size(kMost);
  request.set_order_by("-bytes_per_second");
  const auto take = [&sight](v1::ListConnectionsResponse& page) { sight.connections = std::move(page); };
  return ForEachPage(client_, client_.connections(), &Connections::ListConnections, request, take, 1);
}

}  // namespace kinsock
