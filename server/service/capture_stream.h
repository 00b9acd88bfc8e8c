// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_CAPTURE_STREAM_H_
#define KINSOCK_SERVER_SERVICE_CAPTURE_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "api/kinsock/v1/capture.pb.h"
#include "base/event_loop.h"
#include "base/mutex.h"
#include "capture/reader.h"
#include "capture/session.h"
#include "server/rpc/audit.h"
#include "server/rpc/held_stream.h"
#include "server/rpc/watch_quota.h"
#include "server/service/capture_order.h"
#include "server/service/captures.h"

namespace kinsock {

// One Capture call. It is attached to every reactor, and sends what they have seen, chunk by chunk: the next one is
// made when the client has taken the last, so that a slow client costs the memory of the session and of one chunk, and
// loses the rest.
//
//     Begin -- all reactors attached --> first chunk -- Pump, again and again --> a bound is reached --> last chunk, OK
//                                                  \---- the client goes, or the daemon stops ---------> detached
//
// Who takes a chunk that was not full has all there was: the next one waits for kLook, or for a lane that fills up. One
// that is made as soon as there is a packet costs the daemon and the client more than the packets in it.
//
// Chunks are made on the thread that has the news: gRPC's when one was taken, main when there is nothing to do for a
// moment.
class CaptureStream final : public HeldStream<CaptureStream, v1::CaptureChunk> {
 public:
  // A chunk is full when it has more. The longest packet adds 64 KiB; gRPC's clients refuse 4 MiB.
  static constexpr size_t kChunkBytes = 256u << 10;
  // When nothing was there to send, the lanes are looked at this often; a lane that fills up says so before.
  static constexpr std::chrono::milliseconds kLook{20};
  // What was seen and lost is written into the file this often, if it has changed, and at its end.
  static constexpr std::chrono::seconds kStatistics{1};

  // Any thread. `captures` outlives the gRPC server.
  static CaptureStream* Start(Captures& captures, Audit::Who who, const v1::CaptureRequest& request,
                              WatchQuota::Ticket ticket);

  void OnWriteDone(bool ok) override;

  // Main thread. Ends it, detached from the reactors.
  void Close(const absl::Status& reason);
  // Main thread, while it is one of Captures'.
  uint64_t lost() const { return session_->lost(); }

 private:
  CaptureStream(Captures& captures, Audit::Who who, const v1::CaptureRequest& request, WatchQuota::Ticket ticket);

  // Main thread.
  void Begin() override;
  absl::Status Prepare();
  void OnAttached();
  void Look();
  void NameThem();
  void Detach(EventLoop::Task done);
  void Stop() override;
  void AuditEvent(const char* phase, uint64_t packets);

  // Any thread.
  void Pump();
  bool FillChunk() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Write() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Captures& captures_;
  const Audit::Who who_;
  const v1::CaptureRequest request_;

  // Main thread's.
  CaptureOrder order_;
  std::string name_;                         // "captures/7", in the audit
  std::shared_ptr<CaptureSession> session_;  // null: it has not begun
  std::shared_ptr<Wakeup> filled_;           // a lane of it fills up
  size_t attached_ = 0;                      // reactors
  bool stopped_ = false;
  MonotonicTime statistics_at_;
  std::optional<EventLoop::TimerId> look_;
  std::optional<EventLoop::TimerId> deadline_;

  // Under the lock of HeldStream.
  std::unique_ptr<CaptureReader> reader_ ABSL_GUARDED_BY(mutex_);  // null: nothing is to be sent yet
  v1::CaptureChunk chunk_ ABSL_GUARDED_BY(mutex_);                 // being written, if writing_
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool more_ ABSL_GUARDED_BY(mutex_) = false;  // there was more than it took, or came meanwhile: another one follows
  bool statistics_due_ ABSL_GUARDED_BY(mutex_) = false;
  bool no_more_ ABSL_GUARDED_BY(mutex_) = false;  // the reactors are detached: what is left is all
  bool last_ ABSL_GUARDED_BY(mutex_) = false;     // the chunk is the last one
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_CAPTURE_STREAM_H_
