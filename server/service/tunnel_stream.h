// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_TUNNEL_STREAM_H_
#define KINSOCK_SERVER_SERVICE_TUNNEL_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "api/kinsock/v1/tunnel.pb.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "router/close_reason.h"
#include "router/policy.h"
#include "server/rpc/audit.h"
#include "server/rpc/watch_quota.h"
#include "server/service/tunnel_end.h"
#include "server/service/tunnel_errors.h"
#include "server/service/tunnels.h"

namespace kinsock {

// One Tunnel call: a pair of sockets, of which a reactor has one end as that of a host program, and this the other.
//
//     gRPC --- OnReadDone ---> in_  --- send() ---> socket ---> reactor ---> guest     the next frame is read when all
//                                                                                      of this one is in the socket
//     gRPC <-- StartWrite ---- out_ <-- recv() ---- socket <--- reactor <--- guest     the socket is read when the last
//                                                                                      frame was taken
//
// So each way holds one frame; whoever is slow stops the other by HTTP/2's window on one side, and by vsock's credit on
// the other. States:
//
//     kAwaitingOpen -- open --> kConnecting -- the guest accepts --> kOpen -- ended in order ------> OK
//           |                       |                                  |----- broken off ----------> reset, ABORTED
//           |                       |                                  '----- the client goes -----> CANCELLED; the
//           |                       '-- refused: why                                                 guest gets RST
//           '-- no open that is valid: refused
//
// Thread: the tunnels', but for gRPC's calls, which are posted there, and BeginDial(), which is main's. The object
// keeps itself until gRPC says OnDone, and messages keep it until they ran.
class TunnelStream final : public grpc::ServerBidiReactor<v1::TunnelFrame, v1::TunnelFrame>,
                           public FdHandler,
                           public std::enable_shared_from_this<TunnelStream> {
 public:
  // Bytes of one frame: as much as a guest's default window; more would only wait longer in one piece. Beyond:
  // INVALID_ARGUMENT. Never sent.
  static constexpr size_t kMaxFrameBytes = 64u << 10;
  // Of the kernel's buffer between this and the reactor, each way; it doubles that for its own records.
  static constexpr int kSocketBytes = 64 << 10;

  // Any thread. `tunnels` outlives the gRPC server.
  static TunnelStream* Start(Tunnels& tunnels, Audit::Who who, WatchQuota::Ticket ticket);

  // gRPC's threads.
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  // FdHandler.
  void OnReady(uint32_t events) override;

  // Ends the call with `status`, unless it has been. A connection that is not over gets reset.
  void End(const absl::Status& status);

 private:
  enum class State : uint8_t { kAwaitingOpen, kConnecting, kOpen };

  TunnelStream(Tunnels& tunnels, Audit::Who who, WatchQuota::Ticket ticket);

  void Post(void (TunnelStream::*what)());
  Flow::HostPeer CallerAsPeer() const;

  // The tunnels' thread.
  void Begin();
  void OnRead(bool ok);
  void OnWritten(bool ok);
  void Open();
  void OnDialled(UniqueFd socket, std::shared_ptr<TunnelEnd> end);
  void OnOpened(uint32_t host_port, uint64_t connection);
  void OnEnded(CloseReason reason, const std::shared_ptr<const Policy>& denied_by);
  void TakeFrame();
  void SendToGuest();
  void ReadNext();
  void SendToClient();
  bool ReadData();
  void SendEnd();
  void Write();
  void UpdateInterest();
  void EndByReset();
  void Leave(const absl::Status& status);
  void LetGoOfGuest();
  // A part of the client's frame, for which the socket has had no room yet.
  bool HasUnsent() const { return !reading_ && in_.has_data() && sent_ < in_.data().size(); }
  void AuditEvent(std::string_view phase, const absl::Status& status);

  // Main thread.
  void BeginDial(const TunnelTarget& target);

  Tunnels& tunnels_;
  EventLoop& loop_;
  const Audit::Who who_;
  WatchQuota::Ticket ticket_;                 // given back in OnDone(), while there is still a quota
  std::shared_ptr<TunnelStream> keep_alive_;  // set before gRPC knows of this, taken in OnDone()

  // The tunnels' thread's.
  State state_ = State::kAwaitingOpen;
  bool finished_ = false;  // Finish() was called: nothing may be read or written
  std::optional<EventLoop::TimerId> open_timer_;
  TunnelTarget target_;
  std::shared_ptr<TunnelEnd> end_;
  UniqueFd socket_;
  uint32_t interest_ = 0;    // EPOLL* as registered; 0: not registered
  uint64_t connection_ = 0;  // Flow::id(), in kOpen

  v1::TunnelFrame in_;  // gRPC's while reading_
  bool reading_ = true;
  size_t sent_ = 0;           // of in_.data()
  bool client_done_ = false;  // half_close has come
  uint64_t bytes_to_guest_ = 0;

  v1::TunnelFrame out_;  // gRPC's while writing_
  bool writing_ = false;
  bool end_of_file_ = false;  // the socket has no more
  bool guest_done_ = false;   // half_close was sent
  bool lossy_ = false;        // bytes of the client did not get through
  uint64_t bytes_to_client_ = 0;
  std::optional<CloseReason> ended_;  // the connection is over, and why
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_TUNNEL_STREAM_H_
