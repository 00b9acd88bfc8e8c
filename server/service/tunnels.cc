// SPDX-License-Identifier: Apache-2.0
#include "server/service/tunnels.h"

#include <utility>

#include "server/rpc/watch_quota.h"
#include "server/service/tunnel_stream.h"
#include "server/status/error.h"
#include "server/status/status_conversion.h"

namespace kinsock {
namespace {

// Ends a call before anything was sent. Deletes itself.
class RefusedTunnel final : public grpc::ServerBidiReactor<v1::TunnelFrame, v1::TunnelFrame> {
 public:
  explicit RefusedTunnel(const absl::Status& status) { Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

Tunnels::~Tunnels() {
  if (!thread_.joinable()) return;
  loop_.Stop();
  thread_.join();
}

grpc::ServerBidiReactor<v1::TunnelFrame, v1::TunnelFrame>* Tunnels::Start(const grpc::CallbackServerContext& context) {
  absl::StatusOr<WatchQuota::Ticket> ticket = env_.access.AdmitWatch(context, "ConnectionService.Tunnel");
  if (!ticket.ok()) return new RefusedTunnel(ticket.status());
  std::call_once(started_, [this] { thread_ = std::thread([this] { loop_.Run(); }); });  // counts none if it fails
  if (open_.fetch_add(1) >= kMaxTunnels) {
    CountOut();
    return new RefusedTunnel(
        QuotaExceeded("tunnels", kMaxTunnels, "end one of them; a forward serves any number of connections"));
  }
  return TunnelStream::Start(*this, env_.audit.WhoCalls(context), *std::move(ticket));
}

absl::Status Tunnels::Enter(TunnelStream& stream) {
  if (closed_.ok()) streams_.insert(&stream);
  return closed_;
}

void Tunnels::Close(const absl::Status& reason) {
  loop_.Post([this, reason] {
    closed_ = reason;
    while (!streams_.empty()) (*streams_.begin())->End(reason);
  });
}

}  // namespace kinsock
