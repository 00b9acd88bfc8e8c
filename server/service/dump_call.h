// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_DUMP_CALL_H_
#define KINSOCK_SERVER_SERVICE_DUMP_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>

#include "api/kinsock/v1/admin_service.pb.h"
#include "base/event_loop.h"
#include "server/config/config_dump.h"
#include "server/rpc/api_limits.h"
#include "server/rpc/watch_quota.h"

namespace kinsock {

// One call of DumpConfig. Main takes the snapshot and sends the first piece; each other one is made on the gRPC thread
// that has sent the one before it, so that main is held up by no text, and a reader who is slow holds one piece.
//
// It deletes itself when gRPC is done with it; there is never more than one thread that has something to do with it.
class DumpCall final : public grpc::ServerWriteReactor<v1::ConfigDump> {
 public:
  // Dumps in the daemon. An answer has no bound but that of what is configured: some 5 MB of ten thousand small VMs. In
  // memory are a piece of it and, for as long as the client likes, all VMs as they were when it began, also those that
  // were changed or deleted since. Beyond: QUOTA_EXCEEDED.
  static constexpr size_t kMaxDumps = 8;
  static_assert(kMaxDumpsPerCaller < kMaxDumps);

  // Any thread. `main` outlives the gRPC server, and runs until it is shut down; `look` is called there. `open`: how
  // many there are; outlives it, too.
  static grpc::ServerWriteReactor<v1::ConfigDump>* Start(EventLoop& main, std::function<ConfigSnapshot()> look,
                                                         std::atomic<size_t>& open, bool file_only,
                                                         WatchQuota::Ticket ticket);

  void OnWriteDone(bool ok) override;
  void OnDone() override { delete this; }

 private:
  DumpCall(std::atomic<size_t>& open, WatchQuota::Ticket ticket) : open_(open), ticket_(std::move(ticket)) {}
  ~DumpCall() override { --open_; }

  void WriteNext();

  std::atomic<size_t>& open_;
  WatchQuota::Ticket ticket_;
  std::unique_ptr<ConfigDump> dump_;
  v1::ConfigDump piece_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_DUMP_CALL_H_
