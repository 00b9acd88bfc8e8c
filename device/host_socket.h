// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_HOST_SOCKET_H_
#define KINSOCK_DEVICE_HOST_SOCKET_H_

#include <sys/socket.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/types/span.h"
#include "base/event_loop.h"
#include "base/scatter_list.h"
#include "base/unique_fd.h"
#include "device/dial.h"
#include "device/forward.h"
#include "device/receive_ring.h"
#include "router/credit.h"
#include "router/flow.h"

namespace kinsock {

class HostSide;

// One connection between a host program and the guest, seen from the host's end: an AF_UNIX, AF_VSOCK or TCP stream
// on one side, a flow on the other. host_message_socket.h is the same with messages.
//
//   to the host:  payload goes from guest memory into the socket (one system call for a batch of packets). What
//                 the socket does not take is kept, and paid for by the window: it counts as consumed, and is
//                 granted anew, only when the host program has it.
//   to the guest: the socket is read straight into receive buffers, as much as the guest has granted. While it
//                 grants nothing, or has posted no buffers, the socket is not watched at all.
//
// Thread: the device's reactor.
class HostSocket : public FdHandler {
 public:
  // `side` is not owned and outlives this. `host_end`: which end of `flow` this is. An invalid `socket` is set
  // later (Attach). `via`: the forward that it goes through; null: none.
  HostSocket(HostSide& side, std::shared_ptr<Flow> flow, Flow::Side host_end, UniqueFd socket,
             std::shared_ptr<Forward> via);
  virtual ~HostSocket();

  // --- What the guest sends; the flow has accepted it. ---

  // Payload. It stays where it is until FlushGathered(), which has to come before the guest may change it.
  // `ends_message`: means nothing on a stream.
  virtual void Gather(const ScatterList& payload, bool ends_message);
  virtual void FlushGathered();
  void OnCredit(const VsockHeader& header);
  void OnGuestShutdown();
  // The guest has accepted the connection that the host program asked for.
  void OnResponse(const VsockHeader& header);

  // --- Steps of the connection's making. ---

  // connect() is under way on `socket`: tells HostSide::OnConnectOutcome() when it has come to an end.
  void AwaitConnect(UniqueFd socket);
  // The host program has been reached, through `socket` unless AwaitConnect() has it: answers the guest's request.
  virtual void Attach(UniqueFd socket);
  // Asks the guest for a connection in the name of the host program.
  void SendRequest();

  // The host program is the daemon, for `dial`.
  void SetDial(std::shared_ptr<Dial> dial);
  // The flow is closed, and so will the socket be. `denied_by`: as Dial::OnEnded() has it.
  void TellDialEnded(CloseReason reason, std::shared_ptr<const Policy> denied_by = nullptr);

  // Receive buffers have been posted since the guest had none.
  void OnBuffers();

  // FdHandler.
  void OnReady(uint32_t events) override;

  // Gives up the socket and what was to be written to it. `by_reset`: a TCP connection ends by RST, so that the host
  // program does not take what it has for all there was.
  void CloseSocket(bool by_reset = false);

  // The flow is over, but not all payload is with the host program yet: goes on writing until it is.
  bool StartLingering();

  const std::shared_ptr<Flow>& flow() const { return flow_; }
  Flow::Side host_end() const { return host_end_; }
  uint32_t host_port() const { return flow_->end(host_end_).vsock_port; }
  uint32_t guest_port() const { return flow_->other_end(host_end_).vsock_port; }
  virtual uint64_t queued_bytes() const { return backlog_.size(); }
  Forward* via() const { return via_.get(); }
  bool established() const { return established_; }
  bool IsConnectedToItself() const { return kinsock::IsConnectedToItself(socket_.get()); }

  EventLoop::TimerId timer{};  // of the connection's making; kept by HostSide
  bool timer_armed = false;

 protected:
  // Packets that the guest has to get besides payload, each at most once.
  enum Owed : uint8_t {
    kRequest = 1,
    kResponse = 2,
    kCreditUpdate = 4,
    kCreditRequest = 8,
    kShutdown = 16,
  };

  // What waits for room in the socket.
  virtual bool HasQueued() const { return !backlog_.empty(); }
  virtual void WriteQueued();
  virtual void DropQueued();
  void OnWritten();
  void Consumed(size_t bytes);
  // Tells the guest what it may send, unless it knows.
  void TellCredit();

  // Reads what the guest has credit for.
  virtual ReceiveRing::ReadResult Read(const VsockHeader& header);
  virtual int reads_per_wakeup() const;

  void UpdateInterest();

  HostSide& side_;
  const std::shared_ptr<Flow> flow_;
  const Flow::Side host_end_;
  UniqueFd socket_;
  Credit credit_;  // what the guest grants
  bool lingering_ = false;

 private:
  VsockHeader Header(uint16_t op) const;
  void Owe(Owed packet);
  bool SendOwed();
  bool SendOne(Owed packet, uint16_t op, uint32_t flags);
  void ReadSome();
  void OnEndOfFile();
  void OnHangup();
  void Write(absl::Span<const iovec> pieces, size_t bytes);
  bool Keep(absl::Span<const iovec> pieces, size_t skip, size_t bytes);
  void Granted();
  void LearnPeer();
  bool OnVsock() const { return family_ == AF_VSOCK; }
  std::string MakeProxyHeader() const;
  bool WriteAtOnce(const std::string& bytes);
  bool HasUnread();
  bool SendPreface();
  bool MaySendPayload();
  void CountToGuest(const ReceiveRing::ReadResult& sent);
  bool PeerHungUp(uint32_t events) const;

  // To the host.
  std::vector<iovec> gathered_;
  size_t gathered_bytes_ = 0;
  absl::Cord backlog_;
  uint32_t fwd_cnt_ = 0;             // payload that the host program has, modulo 2^32
  uint32_t advertised_fwd_cnt_ = 0;  // the same as the guest knows it
  bool write_shut_ = false;

  const std::shared_ptr<Forward> via_;
  std::shared_ptr<Dial> dial_;  // null: none, or it has been told all
  int family_ = AF_UNSPEC;      // of socket_, once it is connected

  // To the guest.
  std::string preface_;  // what the guest gets before anything else
  uint8_t owed_ = 0;
  uint32_t shutdown_flags_ = 0;  // what kShutdown says
  bool connecting_ = false;      // AwaitConnect()
  bool established_ = false;
  bool is_early_ = false;     // the host program has spoken before it was established
  bool end_of_file_ = false;  // the host program sends no more
  bool hung_up_ = false;      // nor does it read
  bool awaits_credit_ = false;
  bool awaits_buffers_ = false;

  uint32_t interest_ = 0;  // EPOLL* as registered; 0: not registered
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_HOST_SOCKET_H_
