// SPDX-License-Identifier: Apache-2.0
//
// What a capture costs a packet where it is moved: with nobody who captures, with captures that want none of it, its
// header, or its payload, with room in the lane and without. Prints a row for each. One thread and no guests:
// bench/capture measures the whole.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "base/scatter_list.h"
#include "capture/filter.h"
#include "capture/reader.h"
#include "capture/session.h"
#include "capture/tap.h"
#include "capture/writer.h"
#include "router/vsock_header.h"

namespace kinsock {
namespace {

constexpr int kRounds = 9;  // the fastest counts: what disturbs only makes slower
constexpr uint32_t kPayload = 2048;

VsockHeader Packet() {
  VsockHeader header;
  header.src_cid = 3;
  header.dst_cid = 4;
  header.src_port = 1024;
  header.dst_port = 80;
  header.type = VIRTIO_VSOCK_TYPE_STREAM;
  header.op = VIRTIO_VSOCK_OP_RW;
  header.len = kPayload;
  return header;
}

// As the data plane does it; the caller is what a packet costs otherwise.
[[gnu::noinline]] void Move(const CapturePoint& point, const VsockHeader& header, const ScatterList& payload) {
  if (CaptureTap* const tap = CaptureTap::Active()) [[unlikely]] {
    tap->Take(point, header, payload, 0);
  }
}

// As the sender's side does it: what is captured of the payload is copied first, and delivered from there.
[[gnu::noinline]] void Send(const CapturePoint& point, const VsockHeader& header, const ScatterList& payload) {
  CaptureTap* const tap = CaptureTap::Active();
  const uint32_t wanted = tap->Reserve(point, header, header.len);
  if (wanted == 0) return tap->Fill(point, header, header.len, payload, 0, 0);
  CopyPool::Copy copy = tap->copies().Take(wanted);
  payload.CopyOut(0, copy.bytes.get(), wanted);
  ScatterList own;
  own.Append(copy.bytes.get(), wanted);
  tap->Fill(point, header, header.len, own, 0, wanted);
  tap->copies().Give(std::move(copy));
}

[[gnu::noinline]] void MoveWithoutTap(const CapturePoint&, const VsockHeader& header, const ScatterList&) {
  asm volatile("" : : "g"(&header) : "memory");
}

// `between`: between rounds, unmeasured.
template <typename Step, typename Between>
double NanosecondsEach(int repetitions, Step step, Between between) {
  std::string bytes(kPayload, 'x');
  ScatterList payload;
  payload.Append(bytes.data(), bytes.size());
  const VsockHeader header = Packet();
  double best = 1e18;
  for (int round = 0; round < kRounds; ++round) {
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < repetitions; ++i) step(CapturePoint{.device = 1}, header, payload);
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - began;
    best = std::min(best, took.count() / repetitions);
    between();
  }
  return best;
}

void Print(const char* what, double nanoseconds) { std::printf("%-50s %8.2f\n", what, nanoseconds); }

void MeasureOff() {
  const auto nothing = [] {};
  Print("no tap at all", NanosecondsEach(20'000'000, MoveWithoutTap, nothing));
  Print("nobody captures", NanosecondsEach(20'000'000, Move, nothing));
}

// What the thread that makes the file pays for each.
void MeasureReading(const char* what, std::unique_ptr<CaptureWriter> writer, uint32_t payload_bytes) {
  const auto session = std::make_shared<CaptureSession>(CaptureFilter(), payload_bytes, 1, nullptr);
  CaptureTap::Attach(session, 0);
  CaptureReader reader(session, std::move(writer), {});
  reader.Name(CapturePoint{.device = 1}.key(), {});
  std::string file;
  double best = 1e18;
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t before = reader.packets();
    NanosecondsEach(300, Move, [] {});
    const auto began = std::chrono::steady_clock::now();
    while (reader.Read(256u << 10, file) == CaptureReader::Progress::kMore) file.clear();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - began;
    best = std::min(best, took.count() / static_cast<double>(reader.packets() - before));
    file.clear();
  }
  Print(what, best);
  CaptureTap::Detach(*session);
}

enum class Room { kYes, kNo };

template <typename Step>
void MeasureOn(const char* what, CaptureFilter filter, uint32_t payload_bytes, Room room, Step step) {
  const auto session = std::make_shared<CaptureSession>(std::move(filter), payload_bytes, 1, nullptr);
  CaptureTap::Attach(session, 0);
  CaptureReader reader(session, MakePcapWriter(CaptureWriter::kMaxPacketBytes), {});
  reader.Name(CapturePoint{.device = 1}.key(), {});
  const auto empty = [&] {
    std::string file;
    while (room == Room::kYes && reader.Read(1u << 20, file) == CaptureReader::Progress::kMore) file.clear();
  };
  const int repetitions = payload_bytes > 0 ? 3'000 : 40'000;  // as many as a lane holds
  if (room == Room::kNo) NanosecondsEach(200'000, step, [] {});
  const uint64_t lost_before = session->lost();
  const double each = NanosecondsEach(repetitions, step, empty);
  if (room == Room::kYes && session->lost() > lost_before) std::fprintf(stderr, "%s: some were lost\n", what);
  Print(what, each);
  CaptureTap::Detach(*session);
}

CaptureFilter Of(CaptureFilter::Key key, uint64_t value) {
  CaptureFilter filter;
  filter.Add({.key = key, .negated = false, .values = {value}});
  return filter;
}

void Measure() {
  std::printf("%-50s %8s\n", "a packet", "ns");
  MeasureOff();
  const CaptureFilter everything;
  MeasureOn("captured, but for another VM", Of(CaptureFilter::Key::kDevice, 99), 0, Room::kYes, Move);
  MeasureOn("captured, its header", everything, 0, Room::kYes, Move);
  MeasureOn("captured, its header, of one port", Of(CaptureFilter::Key::kPort, 80), 0, Room::kYes, Move);
  MeasureOn("captured, with 2 KiB of payload", everything, kPayload, Room::kYes, Move);
  MeasureOn("captured where it is sent, with 2 KiB", everything, kPayload, Room::kYes, Send);
  MeasureOn("captured, and lost", everything, 0, Room::kNo, Move);
  MeasureOn("captured where it is sent with 2 KiB, and lost", everything, kPayload, Room::kNo, Send);
  std::printf("%-50s %8s\n", "the same in the file", "ns");
  MeasureReading("pcapng, its header", MakePcapngWriter(CaptureWriter::kMaxPacketBytes, "kinsock"), 0);
  MeasureReading("pcapng, with 2 KiB of payload", MakePcapngWriter(CaptureWriter::kMaxPacketBytes, "kinsock"),
                 kPayload);
  MeasureReading("pcap, its header", MakePcapWriter(CaptureWriter::kMaxPacketBytes), 0);
}

}  // namespace
}  // namespace kinsock

int main() {
  kinsock::Measure();
  return 0;
}
