// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_VIRTUAL_MACHINE_H_
#define KINSOCK_TESTS_SUPPORT_VIRTUAL_MACHINE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/support/guest_options.h"
#include "tests/support/guest_rx.h"
#include "tests/support/guest_tx.h"
#include "tests/support/shared_memory.h"
#include "tests/support/vhost_user_front_end.h"
#include "tests/support/violations.h"

namespace kinsock::testing {

// The machine around a guest: its memory, its VMM's front-end and the virtqueues. It can be switched on, reset,
// paused and killed, as QEMU does it. One thread.
//
//             PowerOn             Suspend
//   off ------------------> on <-----------> suspended
//    ^                      |      Resume        |
//    |        Kill          |                    |
//    +----------------------+--------------------+        Reset: on -> on, with empty rings
class VirtualMachine {
 public:
  explicit VirtualMachine(const GuestOptions& options);

  // Starts a VMM at the vhost-user socket `path` and a driver in it.
  absl::Status PowerOn(const std::string& path, VhostUserConnection::Idle idle = nullptr);
  // Only the VMM; the driver comes with StartDriver().
  absl::Status StartVmm(const std::string& path, VhostUserConnection::Idle idle = nullptr);
  absl::Status StartDriver();

  // Guest reset, or a driver reload: the rings are stopped, and start again empty.
  absl::Status Reset();
  // The first half of it: the driver is gone, the VMM lives.
  absl::Status StopDriver();

  // QEMU's stop and cont: the rings stop where they are and go on from there.
  absl::Status Suspend();
  absl::Status Resume();

  // The VMM exits, in whatever state.
  void Kill();

  // The memory table is told again, as at a hot-plug.
  absl::Status TellMemoryAgain() { return front_end_->SetMemTable(memory_); }

  // For the next StartVmm().
  FrontEndOptions& front_end_options() { return options_.front_end; }

  // The VMM's turn: true if the back-end had said something unasked. What is wrong with that is a violation.
  bool ServeVmm();
  // The driver reads the configuration, of a VMM that asks the back-end each time.
  void ReadCid();

  bool on() const { return state_ == State::kOn; }
  bool vmm_lives() const { return front_end_ != nullptr; }
  // What the driver has read last, what it had before, and what the VMM has.
  uint64_t cid() const { return cid_; }
  uint64_t former_cid() const { return former_cid_; }
  uint64_t configured_cid() const { return front_end_ == nullptr ? 0 : front_end_->cid(); }
  uint64_t features() const { return features_; }
  SharedMemory& memory() { return memory_; }
  VhostUserFrontEnd& front_end() { return *front_end_; }
  GuestRx& rx() { return rx_; }
  GuestTx& tx() { return tx_; }
  VringDriver* events() { return events_.get(); }
  const GuestOptions& options() const { return options_; }
  Violations& violations() { return violations_; }

 private:
  enum class State : uint8_t { kOff, kOn, kSuspended };

  std::vector<VringDriver*> Rings();
  void EmptyRings();
  absl::Status StopRings();
  uint64_t AcceptedFeatures() const;

  GuestOptions options_;
  Violations violations_;
  SharedMemory memory_;
  GuestRx rx_;
  GuestTx tx_;
  std::unique_ptr<VringDriver> events_;  // with three queues
  std::unique_ptr<VhostUserFrontEnd> front_end_;
  State state_ = State::kOff;
  std::vector<uint16_t> bases_;
  uint64_t cid_ = 0;
  uint64_t former_cid_ = 0;
  uint64_t features_ = 0;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_VIRTUAL_MACHINE_H_
