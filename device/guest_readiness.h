// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_GUEST_READINESS_H_
#define KINSOCK_DEVICE_GUEST_READINESS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "device/device_spec.h"
#include "device/device_stats.h"
#include "device/guest_notice.h"
#include "device/host_connection.h"
#include "device/notice_reader.h"
#include "device/readiness.h"
#include "router/vsock_header.h"

namespace kinsock {

// Whether the programs in a guest are ready, by the source that the VM's spec names. What was said holds for the driver
// that runs: it outlives a pause, and is forgotten with the driver, its VMM, or when another source is named.
//
//   kGuestConnects, kNotify: the host side asks here first whom a REQUEST of the guest is for.
//   kProbe: while the driver runs and nobody has accepted, a REQUEST is sent to the guest's port, with pauses that grow
//   from kFirstPause to kLastPause. It is no connection: nothing remembers it but this, no list shows it, no quota
//   knows it. A RESPONSE is answered with SHUTDOWN, and the guest's program sees end of file.
//
// Only packets that begin a connection, or belong to none, come by here. Thread: the device's reactor.
class GuestReadiness {
 public:
  static constexpr std::chrono::milliseconds kFirstPause{100};
  static constexpr std::chrono::milliseconds kLastPause{5000};
  // For the guest to answer a probe: as for any host program.
  static constexpr std::chrono::milliseconds kAnswerTimeout{2000};
  // The host's ports from which probes come, one after the other, so that a late answer is not taken for a new one.
  // Above those that host programs get (HostPorts).
  static constexpr uint32_t kFirstProbePort = 0xffff'fff1;
  static constexpr uint32_t kProbePorts = 14;
  // What the guest says is told at once, then at most once in so long: the text is its own, as often as it likes.
  static constexpr std::chrono::milliseconds kReportPause{100};

  // What is a reference is not owned and outlives this.
  struct Environment {
    EventLoop& loop;
    DeviceStats& stats;
    Cid cid;  // the guest's
    // Puts a packet into the guest's receive ring; false when it has no buffers, then `resume` is notified when it has.
    std::function<bool(const VsockHeader&, const std::shared_ptr<Wakeup>& resume)> send;
    // No connection may begin at the guest now.
    std::function<bool()> is_draining;
    // word() or text() is another.
    std::function<void()> on_change;
  };

  GuestReadiness(Readiness readiness, Environment environment);
  ~GuestReadiness();
  GuestReadiness(const GuestReadiness&) = delete;
  GuestReadiness& operator=(const GuestReadiness&) = delete;

  // Another source: what was said is forgotten. The same changes nothing. For this and the next two, on_change is not
  // called: the caller tells of what has changed by them together with why.
  void SetSource(const Readiness& readiness);
  // Whether the driver runs, or is suspended or gone.
  void SetRunning(bool running);
  // The driver that was there is gone.
  void Forget();

  const Readiness& source() const { return readiness_; }
  GuestNotice::Word word() const { return word_; }
  // What the guest says of itself (GuestNotice::Describe).
  std::string text() const { return notice_.Describe(); }

  // --- For the guest's packets. ---

  // The guest asks for a connection to `port` of the host.
  void OnRequest(uint32_t port);
  // Whether that is for the daemon itself; then, its end of it.
  bool ListensOn(uint32_t port) const {
    return readiness_.source == Readiness::Source::kNotify && readiness_.port == port;
  }
  HostConnection Accept(int socket_type);

  // A packet that belongs to no connection. kNone: it is none of ours; kDone: it needs no answer; kReset: it does.
  enum class Answer : uint8_t { kNone, kDone, kReset };
  Answer OnStray(const VsockHeader& header);

 private:
  bool WantsProbe() const;
  void Probe();
  void ProbeAfter(std::chrono::milliseconds pause);
  void OnProbeFailed();
  void StopProbing();
  VsockHeader ProbePacket(uint16_t op) const;
  void SetWord(GuestNotice::Word word);
  void Changed();

  Environment env_;
  Readiness readiness_;
  bool running_ = false;
  GuestNotice::Word word_ = GuestNotice::Word::kNone;
  GuestNotice notice_;
  NoticeReader notices_;
  bool noticed_ = false;  // a line said something new

  bool awaits_answer_ = false;
  uint32_t probe_port_ = kFirstProbePort;
  std::chrono::milliseconds pause_ = kFirstPause;
  bool probe_timer_armed_ = false;
  EventLoop::TimerId probe_timer_{};
  std::shared_ptr<Wakeup> buffers_;

  bool report_pausing_ = false;
  bool unreported_ = false;
  EventLoop::TimerId report_timer_{};
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_GUEST_READINESS_H_
