// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_VM_EVENT_LIMITER_H_
#define KINSOCK_SERVER_RPC_VM_EVENT_LIMITER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "api/kinsock/v1/event.pb.h"
#include "base/allowance.h"
#include "base/event_loop.h"

namespace kinsock {

// Tells so many events of one kind that guests bring about as a person can read: a guest may ask without end, and must
// neither push everything else out of the event log, nor keep the events of another VM out of it. What is left out is
// counted for its VM, and the count told.
//
//     Add() --> has the VM said too much? --> have all? --> tell
//                        | yes                 | yes
//                        '---------------------'--> counted --> within seconds, in an event about the VM: N more
//
// An entry is kept for each VM that has said something lately, and goes half a minute after its last event, or with the
// VM.
//
// Thread: main.
class VmEventLimiter {
 public:
  // Events of one VM that are told at once, and seconds for each one more. Beyond: counted.
  static constexpr size_t kBurst = 16;
  static constexpr std::chrono::seconds kPerEvent{2};
  // The same of all VMs together: as many as 64 VMs that say too much, so that the 4,096 events which are remembered
  // reach back minutes however many do. Beyond: counted.
  static constexpr size_t kBurstOfAll = 1024;
  static constexpr std::chrono::milliseconds kPerEventOfAll{50};
  // The counts are told this often at most, each VM's within a second for the first time and then as often again as
  // kPerCount. Beyond: in the count that is told later, each VM's in its turn.
  static constexpr size_t kCountsAtOnce = 64;
  static constexpr std::chrono::milliseconds kPerCountOfAll{100};
  static constexpr std::chrono::seconds kPerCount{4};

  // Whose events.
  struct Vm {
    std::string uid;   // empty: nobody knows any more
    std::string name;  // "vms/{vm_id}"
  };

  // The event that tells a count, but for that and its VM.
  struct Summary {
    v1::Event::Type type;
    v1::Event::Severity severity;
    std::string reason;  // for example "DENIALS_SUPPRESSED"
    std::string what;    // for example "denials"
  };

  // `main` outlives this, and so does what `tell` touches.
  VmEventLimiter(EventLoop& main, Summary summary, std::function<void(v1::Event)> tell);
  ~VmEventLimiter();
  VmEventLimiter(const VmEventLimiter&) = delete;
  VmEventLimiter& operator=(const VmEventLimiter&) = delete;

  void Add(const Vm& vm, v1::Event event);
  // `count` more of `vm`, of which nothing else is known.
  void Suppress(const Vm& vm, uint64_t count);
  // The VM is gone: what was counted for it is told now, or with those of whom nobody knows any more.
  void Forget(const std::string& uid);

  // VMs that an entry is kept for.
  size_t size() const { return vms_.size(); }

 private:
  static constexpr std::chrono::seconds kInterval{1};

  struct Entry {
    std::string name;
    Allowance events{kBurst, kPerEvent};
    uint64_t suppressed = 0;
    MonotonicTime last_event;
    std::optional<MonotonicTime> counted_at;  // when a count was told last
  };
  using Entries = std::map<std::string, Entry>;  // by uid

  Entry& EntryOf(const Vm& vm);
  void Arm();
  void Tick();
  // False: not now.
  bool TellCount(Entry& entry, MonotonicTime now);

  EventLoop& main_;
  const Summary summary_;
  const std::function<void(v1::Event)> tell_;
  Allowance events_{kBurstOfAll, kPerEventOfAll};
  Allowance counts_{kCountsAtOnce, kPerCountOfAll};
  Entries vms_;
  std::string next_;  // whose turn it is to tell his count
  // Runs while there is an entry.
  std::optional<EventLoop::TimerId> timer_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_VM_EVENT_LIMITER_H_
