// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_PORT_H_
#define KINSOCK_ROUTER_PORT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "router/cid.h"
#include "router/credit.h"
#include "router/packet.h"
#include "router/port_stats.h"

namespace kinsock {

class Wakeup;

// The packets of one sender for one port, in order. Belongs to the thread of the sender's reactor.
struct Lane {
  PacketQueue waiting;  // offered, oldest first
  PacketQueue done;     // taken or refused by the port; the sender takes them out

  // Notified by the port when it can take more after it said kBlocked. Runs on the sender's thread.
  std::shared_ptr<Wakeup> resume;

  // --- How the sender's ring is shared (docs/adr/0009-shares-by-window.md). ---
  uint32_t epoch = 0;           // of the sender; it counts anew in each
  uint32_t flows = 0;           // that had payload delivered in this epoch; by the port
  uint32_t share = kMaxWindow;  // what each of them may see of its receiver's window (bytes)
  uint32_t overdraft = 0;       // what the last turn spent beyond its budget; by the port
};

// What the router needs of an endpoint: a guest's receive side, or a VM's host side.
class Port : public std::enable_shared_from_this<Port> {
 public:
  enum class Progress : uint8_t {
    kDrained,  // lane.waiting is empty
    kBudget,   // the budget is used up; more would have been taken
    kBlocked,  // no room now; lane.resume will be notified
  };

  // `device`: the VM behind the port (DeviceSpec::id). `max_buffered_bytes`: see ChargeBuffered(). `stats`: not null.
  Port(uint64_t device, Cid cid, uint64_t max_buffered_bytes,
       std::shared_ptr<PortStats> stats = std::make_shared<PortStats>())
      : device_(device), cid_(cid), max_buffered_bytes_(max_buffered_bytes), stats_(std::move(stats)) {}
  virtual ~Port() = default;
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  // Moves packets from the front of `lane.waiting` to `lane.done`, each with its outcome, until `budget`
  // bytes are spent. One that has an outcome already is only moved. Any thread, one at a time for a lane; never blocks
  // for longer than another Deliver().
  virtual Progress Deliver(Lane& lane, uint32_t budget) = 0;

  // Asks the receiving end of `flow`, which is behind this port, what it has read. Any thread.
  virtual void AskForCredit(const std::shared_ptr<Flow>& flow) = 0;

  // The other end of `flow`, which is closed, is gone: forgets the flow and resets this end of it. Any
  // thread for a guest's port; a host side is called by the reactor of its VM alone.
  virtual void ResetFlow(const std::shared_ptr<Flow>& flow) = 0;

  uint64_t device() const { return device_; }
  Cid cid() const { return cid_; }

  // For a guest's port: whether its driver has acknowledged connections of type SEQPACKET (virtio 1.3, 5.10.3). Any
  // thread; set by the reactor of the device.
  bool takes_seqpacket() const { return takes_seqpacket_.load(std::memory_order_relaxed); }
  void set_takes_seqpacket(bool takes) { takes_seqpacket_.store(takes, std::memory_order_relaxed); }

  // For a guest's port: no connection begins at it any more, in either direction; those that exist go on. Any thread;
  // set by the reactor of the device.
  bool draining() const { return draining_.load(std::memory_order_relaxed); }
  void set_draining(bool draining) { draining_.store(draining, std::memory_order_relaxed); }

  // What waits for this port outside of any guest's memory. Takes `bytes` into account, unless the port's
  // limit would be exceeded. Any thread.
  bool ChargeBuffered(uint64_t bytes) {
    const uint64_t before = stats_->buffered_bytes.fetch_add(bytes, std::memory_order_relaxed);
    if (before + bytes <= max_buffered_bytes_.load(std::memory_order_relaxed)) return true;
    stats_->buffered_bytes.fetch_sub(bytes, std::memory_order_relaxed);
    stats_->limited_buffered_bytes.Add();
    NoteLimited();
    return false;
  }
  void ReleaseBuffered(uint64_t bytes) { stats_->buffered_bytes.fetch_sub(bytes, std::memory_order_relaxed); }
  uint64_t buffered_bytes() const { return stats_->buffered_bytes.load(std::memory_order_relaxed); }

  // What waits already stays. Any thread.
  void set_max_buffered_bytes(uint64_t bytes) { max_buffered_bytes_.store(bytes, std::memory_order_relaxed); }

  // A limit of the VM behind the port has held something back or refused it: `limited` is notified. Any thread; the
  // latter is set before the port is shared.
  void NoteLimited();
  void set_limited(std::shared_ptr<Wakeup> limited) { limited_ = std::move(limited); }

  // Any thread.
  PortStats& port_stats() const { return *stats_; }

  // How many of the flows that this port initiated wait for an answer or for their end (Flow::IsTransient).
  // Any thread.
  void CountTransient(int change) { transient_flows_.fetch_add(change, std::memory_order_relaxed); }
  int transient_flows() const { return transient_flows_.load(std::memory_order_relaxed); }

 private:
  const uint64_t device_;
  const Cid cid_;
  std::atomic<uint64_t> max_buffered_bytes_;
  const std::shared_ptr<PortStats> stats_;
  std::atomic<int> transient_flows_{0};
  std::atomic<bool> takes_seqpacket_{false};
  std::atomic<bool> draining_{false};
  std::shared_ptr<Wakeup> limited_;
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_PORT_H_
