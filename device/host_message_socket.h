// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_HOST_MESSAGE_SOCKET_H_
#define KINSOCK_DEVICE_HOST_MESSAGE_SOCKET_H_

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "device/host_socket.h"

namespace kinsock {

// A connection of type SEQPACKET between the guest and a host program that listens with SOCK_SEQPACKET.
//
//   to the host:  a message that comes whole in one batch goes from guest memory into the socket, one system call for
//                 each. Otherwise its pieces are kept until the end comes. All that is kept is paid for by the window;
//                 a message that fills the window without coming to its end never can, and ends the connection
//                 (MESSAGE_TOO_LARGE). A message whose end never comes is not delivered.
//   to the guest: the kernel keeps the message while it is read piece by piece, as far as credit and receive buffers
//                 go, straight into the buffers. One larger than the guest's whole window can never arrive, and ends
//                 the connection.
//
// Thread: the device's reactor.
class HostMessageSocket final : public HostSocket {
 public:
  // Empty messages that may wait for the host program: no credit pays for them. Beyond it the connection is reset
  // (QUOTA).
  static constexpr uint32_t kMaxEmptyMessages = 256;

  using HostSocket::HostSocket;
  ~HostMessageSocket() override;

  void Attach(UniqueFd socket) override;
  void Gather(const ScatterList& payload, bool ends_message) override;
  void FlushGathered() override;
  uint64_t queued_bytes() const override { return queued_bytes_; }

 private:
  bool HasQueued() const override { return !waiting_.empty(); }
  void WriteQueued() override;
  void DropQueued() override;
  int reads_per_wakeup() const override;
  ReceiveRing::ReadResult Read(const VsockHeader& header) override;

  void FinishMessage();
  bool SetAside();
  bool Charge(uint64_t bytes);
  void Failed(bool too_large);
  void ClearGathered();
  void TellCreditForTheRest();

  std::vector<iovec> gathered_;  // of the present message, in guest memory
  size_t gathered_bytes_ = 0;
  std::string partial_;              // of the present message, what came in earlier batches
  std::deque<std::string> waiting_;  // whole messages that the socket had no room for
  uint32_t empty_waiting_ = 0;
  uint64_t queued_bytes_ = 0;  // in partial_ and waiting_
  uint64_t charged_ = 0;       // for them (Port::ChargeBuffered)

  uint32_t read_of_message_ = 0;  // what the guest has of the message that is being read
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_HOST_MESSAGE_SOCKET_H_
