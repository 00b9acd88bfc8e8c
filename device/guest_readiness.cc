// SPDX-License-Identifier: Apache-2.0
#include "device/guest_readiness.h"

#include <algorithm>
#include <utility>

namespace kinsock {

using Word = GuestNotice::Word;

GuestReadiness::GuestReadiness(Readiness readiness, Environment environment)
    : env_(std::move(environment)),
      readiness_(readiness),
      notices_(
          env_.loop, env_.stats, [this](absl::string_view line) { noticed_ |= notice_.Take(line); },
          [this] {
            if (!std::exchange(noticed_, false)) return;
            word_ = notice_.word();
            Changed();
          }),
      buffers_(Wakeup::Create(env_.loop, [this] {
        if (WantsProbe() && !awaits_answer_ && !probe_timer_armed_) Probe();
      })) {}

GuestReadiness::~GuestReadiness() {
  StopProbing();
  buffers_->Disarm();
  if (report_pausing_) env_.loop.Cancel(report_timer_);
}

void GuestReadiness::SetSource(const Readiness& readiness) {
  if (readiness == readiness_) return;
  Forget();
  readiness_ = readiness;
  if (WantsProbe()) Probe();
}

void GuestReadiness::SetRunning(bool running) {
  if (std::exchange(running_, running) == running) return;
  StopProbing();
  if (WantsProbe()) Probe();
}

void GuestReadiness::Forget() {
  StopProbing();
  notices_.Clear();
  notice_.Clear();
  noticed_ = false;
  word_ = Word::kNone;
  pause_ = kFirstPause;
}

void GuestReadiness::OnRequest(uint32_t port) {
  if (readiness_.source != Readiness::Source::kGuestConnects || readiness_.port != port) return;
  SetWord(Word::kReady);
}

HostConnection GuestReadiness::Accept(int socket_type) {
  UniqueFd socket = notices_.Connect(socket_type);
  if (!socket.valid()) return {};
  return {.status = HostConnection::Status::kConnected, .socket = std::move(socket)};
}

// --- Probing ---

bool GuestReadiness::WantsProbe() const {
  return readiness_.source == Readiness::Source::kProbe && running_ && word_ != Word::kReady;
}

VsockHeader GuestReadiness::ProbePacket(uint16_t op) const {
  // A window of nothing: what the guest's program has to say is not listened to.
  return {.src_cid = kHostCid,
          .dst_cid = env_.cid,
          .src_port = probe_port_,
          .dst_port = readiness_.port,
          .type = VIRTIO_VSOCK_TYPE_STREAM,
          .op = op};
}

void GuestReadiness::Probe() {
  if (env_.is_draining()) return OnProbeFailed();
  probe_port_ = kFirstProbePort + (probe_port_ - kFirstProbePort + 1) % kProbePorts;
  if (!env_.send(ProbePacket(VIRTIO_VSOCK_OP_REQUEST), buffers_)) return;
  env_.stats.readiness_probes.Add();
  awaits_answer_ = true;
  ProbeAfter(kAnswerTimeout);
}

void GuestReadiness::ProbeAfter(std::chrono::milliseconds pause) {
  probe_timer_armed_ = true;
  probe_timer_ = env_.loop.RunAfter(pause, [this] {
    probe_timer_armed_ = false;
    if (std::exchange(awaits_answer_, false)) return OnProbeFailed();
    Probe();
  });
}

void GuestReadiness::OnProbeFailed() {
  ProbeAfter(pause_);
  pause_ = std::min(pause_ * 2, kLastPause);
}

void GuestReadiness::StopProbing() {
  awaits_answer_ = false;
  if (std::exchange(probe_timer_armed_, false)) env_.loop.Cancel(probe_timer_);
}

GuestReadiness::Answer GuestReadiness::OnStray(const VsockHeader& header) {
  if (!awaits_answer_ || header.dst_port != probe_port_ || header.src_port != readiness_.port) return Answer::kNone;
  if (header.op == VIRTIO_VSOCK_OP_RST) {
    StopProbing();
    OnProbeFailed();
    return Answer::kDone;
  }
  if (header.op != VIRTIO_VSOCK_OP_RESPONSE) return Answer::kNone;
  StopProbing();
  VsockHeader end = ProbePacket(VIRTIO_VSOCK_OP_SHUTDOWN);
  end.flags = VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND;
  const bool sent = env_.send(end, buffers_);
  SetWord(Word::kReady);
  return sent ? Answer::kDone : Answer::kReset;
}

// --- Reports ---

void GuestReadiness::SetWord(Word word) {
  if (std::exchange(word_, word) != word) Changed();
}

void GuestReadiness::Changed() {
  if (report_pausing_) {
    unreported_ = true;
    return;
  }
  report_pausing_ = true;
  report_timer_ = env_.loop.RunAfter(kReportPause, [this] {
    report_pausing_ = false;
    if (std::exchange(unreported_, false)) Changed();
  });
  env_.on_change();
}

}  // namespace kinsock
