// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_VHOST_USER_FRONT_END_H_
#define KINSOCK_TESTS_SUPPORT_VHOST_USER_FRONT_END_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "tests/support/shared_memory.h"
#include "tests/support/vhost_user_connection.h"
#include "tests/support/vring_driver.h"

namespace kinsock::testing {

// How a front-end differs from QEMU 7.2.
struct FrontEndOptions {
  // Protocol features it accepts when offered; QEMU's for a vsock device.
  bool reply_ack = true;
  bool back_channel = true;
  // Reads what comes on the back channel, when the guest has its turn.
  bool serves_back_channel = true;
  // Not QEMU's: a region at a time, ADD_MEM_REG.
  bool memory_slots = false;
  // Not QEMU's: SET_STATUS around start and stop.
  bool status = false;
  // After a restart of the back-end QEMU goes on where it was: no features, no protocol features, no owner.
  bool mid_protocol = false;
};

// A synchronous vhost-user client that says what QEMU 7.2 says, in its order. Each request that has an answer waits
// for it. Every method reports what the back-end did wrong. One thread.
class VhostUserFrontEnd {
 public:
  VhostUserFrontEnd(VhostUserConnection connection, FrontEndOptions options);

  // What QEMU does when the device is created: up to GET_CONFIG, which tells the CID.
  absl::Status Realize(size_t call_rings = 2);
  // What it does at DRIVER_OK. `rings` in index order; each starts at its entry of `bases`.
  absl::Status DriverOk(const SharedMemory& memory, std::span<VringDriver* const> rings,
                        std::span<const uint16_t> bases, uint64_t driver_features);
  // What it does when the VM stops or the guest resets the device: the rings' bases.
  absl::StatusOr<std::vector<uint16_t>> Stop(std::span<VringDriver* const> rings);

  // The requests.
  absl::StatusOr<uint64_t> GetU64(uint32_t request);
  absl::Status SetU64(uint32_t request, uint64_t value);
  absl::Status SetOwner();
  absl::Status ResetDevice();

  // What the back-end says unasked: true if there was a CONFIG_CHANGE_MSG. It is answered as QEMU answers: after the
  // configuration has been read anew.
  absl::StatusOr<bool> ServeBackChannel();
  // Likewise, but leaves the configuration alone and does not answer: `acknowledge` how, later.
  absl::StatusOr<VhostUserHeader> TakeFromBackChannel();
  absl::Status AnswerOnBackChannel(std::span<const std::byte> bytes);
  absl::StatusOr<uint64_t> GetConfigCid();
  absl::Status SetMemory(const SharedMemory& memory);  // whichever way was agreed
  absl::Status SetMemTable(const SharedMemory& memory);
  absl::Status AddMemReg(const SharedMemory& memory, const SharedMemory::Region& region);
  absl::Status RemMemReg(const SharedMemory::Region& region);
  absl::Status SetVringState(uint32_t request, uint32_t index, uint32_t num);
  absl::StatusOr<uint16_t> GetVringBase(uint32_t index);
  absl::Status SetVringAddr(const vhost_vring_addr& address);
  absl::Status SetVringFd(uint32_t request, uint64_t index, int fd);  // fd < 0: NOFD
  absl::Status SetUpRing(const SharedMemory& memory, uint32_t index, const VringDriver& ring, uint16_t base);
  static vhost_vring_addr AddressOf(const SharedMemory& memory, uint32_t index, const VringDriver& ring);

  // Sends with NEED_REPLY when REPLY_ACK is agreed, and then wants a 0 in return.
  absl::Status SendAcknowledged(uint32_t request, std::span<const std::byte> payload, std::span<const int> fds = {});
  // Sends and waits for a reply to the same request with `size` bytes of payload.
  absl::StatusOr<VhostUserConnection::Message> Ask(uint32_t request, std::span<const std::byte> payload, size_t size,
                                                   uint32_t flags = kVhostUserVersion);

  VhostUserConnection& connection() { return connection_; }
  const FrontEndOptions& options() const { return options_; }
  uint64_t cid() const { return cid_; }
  int back_channel_fd() const { return back_channel_.get(); }
  uint64_t offered_features() const { return offered_features_; }
  uint64_t protocol_features() const { return protocol_features_; }
  uint64_t offered_protocol_features() const { return offered_protocol_features_; }
  bool Agreed(int protocol_feature) const { return (protocol_features_ >> protocol_feature & 1) != 0; }
  // For a session that another front-end object negotiated.
  void AssumeAgreed(uint64_t features, uint64_t protocol_features) {
    offered_features_ = features;
    protocol_features_ = protocol_features;
  }

 private:
  absl::Status AgreeOnProtocol();

  VhostUserConnection connection_;
  const FrontEndOptions options_;
  uint64_t offered_features_ = 0;
  uint64_t offered_protocol_features_ = 0;
  uint64_t protocol_features_ = 0;
  uint64_t cid_ = 0;
  UniqueFd back_channel_;            // our end
  std::vector<UniqueFd> early_fds_;  // call and err eventfds from before the driver runs
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_VHOST_USER_FRONT_END_H_
