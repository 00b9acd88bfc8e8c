// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_DUMP_CALL_H_
#define KINSOCK_SERVER_SERVICE_DUMP_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>

#include "api/kinsock/v1/admin_service.pb.h"
#include "base/event_loop.h"
#include "server/config/config_dump.h"
#include "server/rpc/watch_quota.h"

namespace kinsock {

// One call of DumpConfig. Main takes the snapshot and sends the first piece; each other one is made on the gRPC thread
// that has sent the one before it, so that main is held up by no text, and a reader who is slow holds one piece.
//
// It deletes itself when gRPC is done with it; there is never more than one thread that has something to do with it.
class DumpCall final : public grpc::ServerWriteReactor<v1::ConfigDump> {
 public:
  // Any thread. `main` outlives the gRPC server, and runs until it is shut down; `look` is called there.
  static DumpCall* Start(EventLoop& main, std::function<ConfigSnapshot()> look, bool file_only,
                         WatchQuota::Ticket ticket);

  void OnWriteDone(bool ok) override;
  void OnDone() override { delete this; }

 private:
  explicit DumpCall(WatchQuota::Ticket ticket) : ticket_(std::move(ticket)) {}
  ~DumpCall() override = default;

  void WriteNext();

  const WatchQuota::Ticket ticket_;
  std::unique_ptr<ConfigDump> dump_;
  v1::ConfigDump piece_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_DUMP_CALL_H_
