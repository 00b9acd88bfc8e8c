// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_GUEST_RX_H_
#define KINSOCK_TESTS_SUPPORT_GUEST_RX_H_

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "tests/support/guest_options.h"
#include "tests/support/shared_memory.h"
#include "tests/support/violations.h"
#include "tests/support/vring_driver.h"
#include "tests/support/vsock_packet.h"

namespace kinsock::testing {

// A guest driver's receive queue: keeps buffers posted, takes packets out, and checks that the device wrote what it
// said and nothing else. One thread.
class GuestRx {
 public:
  GuestRx(SharedMemory& memory, const GuestOptions& options, Violations& violations);

  // After a device reset: all buffers are the driver's again.
  void Reset(bool event_idx);

  // Posts buffers until the ring or the options say enough. Tells the device.
  void Fill();
  void set_posting(bool on) { posting_ = on; }

  // The next packet; header checked against the buffer, not yet against anybody's state.
  std::optional<VsockPacket> Take();

  VringDriver& ring() { return ring_; }
  const VringDriver& ring() const { return ring_; }

 private:
  // What the device has not written is still there.
  static constexpr char kUntouched = '\xA5';

  ChainBuilder Describe(uint64_t buffer) const;
  bool Post();

  SharedMemory& memory_;
  const GuestOptions& options_;
  Violations& violations_;
  VringDriver ring_;
  std::vector<uint64_t> all_buffers_;
  std::vector<uint64_t> spare_buffers_;
  std::unordered_map<uint16_t, uint64_t> posted_;  // head to buffer
  bool posting_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_GUEST_RX_H_
