// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_CAPTURES_H_
#define KINSOCK_SERVER_SERVICE_CAPTURES_H_

#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <cstdint>
#include <set>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/kinsock/v1/capture.pb.h"
#include "base/event_loop.h"
#include "capture/filter.h"
#include "capture/filter_text.h"
#include "capture/reader.h"
#include "server/manager/network_manager.h"
#include "server/manager/vm_manager.h"
#include "server/reactors/reactor_pool.h"
#include "server/rpc/access.h"
#include "server/rpc/api_limits.h"
#include "server/rpc/audit.h"

namespace kinsock {

class CaptureStream;

// The captures that are open: who may begin one, and what they know of the daemon.
//
// Thread: main, but for Start().
class Captures {
 public:
  // Each looks at every packet, and has up to 16 MiB of them waiting (CaptureSession::kMaxBytes): a few people who look
  // for a fault at the same time, of whom nobody has all places. Beyond: QUOTA_EXCEEDED.
  static constexpr size_t kMaxCaptures = 4;
  static_assert(kMaxCapturesPerCaller < kMaxCaptures);

  // All outlive the gRPC server, and main runs until it is shut down.
  struct Environment {
    EventLoop& main;
    VmManager& manager;
    NetworkManager& networks;
    ReactorPool& pool;
    const Access& access;
    Audit& audit;
    bool payload_allowed;  // the configuration lets admins see payload
  };

  explicit Captures(const Environment& environment) : env_(environment) {}

  // Serves a call. Any thread.
  grpc::ServerWriteReactor<v1::CaptureChunk>* Start(grpc::CallbackServerContext& context,
                                                    const v1::CaptureRequest& request);

  // Ends all of them, and refuses new ones, with `reason`.
  void Close(const absl::Status& reason);

  size_t size() const { return streams_.size(); }
  // Packets that captures have lost, ever.
  uint64_t lost() const;

  // --- For CaptureStream. ---

  const Environment& env() const { return env_; }
  // A number for one that begins; or why it may not.
  absl::StatusOr<uint64_t> Enter(CaptureStream& stream);
  void Leave(CaptureStream& stream, uint64_t lost);
  // `text`, with what it names. VM_NOT_FOUND, NETWORK_NOT_FOUND, and of a VM that is made or taken apart.
  absl::StatusOr<CaptureFilter> Resolve(const CaptureFilterText& text) const;
  // What a file calls a point (CapturePoint::key()).
  CaptureInterface Describe(uint64_t point) const;

 private:
  absl::Status CheckPayload(const grpc::CallbackServerContext& context, const v1::CaptureRequest& request) const;

  const Environment env_;
  std::set<CaptureStream*> streams_;
  absl::Status closed_;
  uint64_t begun_ = 0;
  uint64_t lost_ = 0;  // by those that have ended
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_CAPTURES_H_
