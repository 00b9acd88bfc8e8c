// SPDX-License-Identifier: Apache-2.0
#include "tests/capture/capture_contents.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kinsock::testing {
namespace {

constexpr uint32_t kPcapMagic = 0xa1b23c4d;
constexpr uint32_t kLinkType = 271;
constexpr size_t kMonitorBytes = 32;

// Takes numbers off the front of bytes; beyond the end they are 0, and it says so.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}

  template <typename Integer>
  Integer Number() {
    Integer number = 0;
    const std::string_view taken = Take(sizeof(number));
    if (taken.size() == sizeof(number)) std::memcpy(&number, taken.data(), sizeof(number));
    return number;
  }
  uint64_t Halves() {
    const uint64_t high = Number<uint32_t>();
    return high << 32 | Number<uint32_t>();
  }
  std::string_view Take(size_t size) {
    too_short_ = too_short_ || size > bytes_.size();
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view TakePadded(size_t size) {
    const std::string_view taken = Take(size);
    Take((4 - size % 4) % 4);
    return taken;
  }
  bool empty() const { return bytes_.empty(); }
  bool too_short() const { return too_short_; }

 private:
  std::string_view bytes_;
  bool too_short_ = false;
};

// The options of a block, by code.
std::map<uint16_t, std::string> Options(Bytes& block) {
  std::map<uint16_t, std::string> options;
  while (!block.empty()) {
    const auto code = block.Number<uint16_t>();
    const auto size = block.Number<uint16_t>();
    if (code == 0) break;
    options[code] = std::string(block.TakePadded(size));
  }
  return options;
}

uint64_t ToNumber(const std::string& bytes) { return Bytes(bytes).Number<uint64_t>(); }

std::string TakePacket(std::string_view bytes, CaptureContents::Packet& packet) {
  if (bytes.size() < kMonitorBytes + kVsockHeaderBytes) return "a packet without its headers";
  Bytes monitor(bytes.substr(0, kMonitorBytes));
  VsockHeaderWire wire;
  std::memcpy(&wire, bytes.data() + kMonitorBytes, sizeof(wire));
  packet.header = Decode(wire);
  const bool same =
      monitor.Number<uint64_t>() == packet.header.src_cid && monitor.Number<uint64_t>() == packet.header.dst_cid &&
      monitor.Number<uint32_t>() == packet.header.src_port && monitor.Number<uint32_t>() == packet.header.dst_port;
  packet.kind = monitor.Number<uint16_t>();
  if (!same || monitor.Number<uint16_t>() != 2 || monitor.Number<uint16_t>() != kVsockHeaderBytes) {
    return "headers that contradict each other";
  }
  packet.payload = std::string(bytes.substr(kMonitorBytes + kVsockHeaderBytes));
  return "";
}

void ReadPcap(Bytes file, CaptureContents& contents) {
  file.Take(4 + 4 + 8 + 4);  // magic, version, time zone and accuracy, snap length
  if (file.Number<uint32_t>() != kLinkType) contents.fault = "another link type";
  while (!file.empty() && contents.fault.empty()) {
    CaptureContents::Packet packet;
    packet.nanoseconds = uint64_t{file.Number<uint32_t>()} * 1'000'000'000;
    packet.nanoseconds += file.Number<uint32_t>();
    const auto captured = file.Number<uint32_t>();
    packet.length = file.Number<uint32_t>();
    contents.fault = TakePacket(file.Take(captured), packet);
    contents.packets.push_back(std::move(packet));
  }
  if (file.too_short()) contents.fault = "it ends in the middle";
}

void ReadPcapng(Bytes file, CaptureContents& contents) {
  std::vector<std::string> interfaces;
  while (!file.empty() && contents.fault.empty()) {
    const auto type = file.Number<uint32_t>();
    const auto size = file.Number<uint32_t>();
    if (size < 12 || size % 4 != 0) contents.fault = absl::StrCat("a block of ", size, " bytes");
    Bytes block(file.Take(size - 12));
    if (file.Number<uint32_t>() != size) contents.fault = "a block whose ends do not agree";
    if (type == 1) {
      if (block.Number<uint16_t>() != kLinkType) contents.fault = "another link type";
      block.Take(6);
      interfaces.push_back(Options(block)[2]);
    } else if (type == 5 || type == 6) {
      const auto interface = block.Number<uint32_t>();
      const uint64_t time = block.Halves();
      if (interface >= interfaces.size()) {
        contents.fault = "an interface that was not described";
      } else if (type == 5) {
        auto options = Options(block);
        contents.counts[interfaces[interface]] = {.seen = ToNumber(options[4]), .lost = ToNumber(options[5])};
      } else {
        CaptureContents::Packet packet{.interface = interfaces[interface], .nanoseconds = time};
        const auto captured = block.Number<uint32_t>();
        packet.length = block.Number<uint32_t>();
        contents.fault = TakePacket(block.TakePadded(captured), packet);
        packet.flags = Bytes(Options(block)[2]).Number<uint32_t>();
        contents.packets.push_back(std::move(packet));
      }
    }
    if (block.too_short()) contents.fault = "a block that is too short";
  }
  if (file.too_short()) contents.fault = "it ends in the middle";
}

template <typename Get>
std::vector<std::string> Each(const std::vector<CaptureContents::Packet>& packets, Get get) {
  std::vector<std::string> texts;
  for (const auto& packet : packets) texts.push_back(get(packet));
  return texts;
}

}  // namespace

std::string CaptureContents::Packet::ToString() const {
  return absl::StrCat(header.src_cid, ":", header.dst_cid, ":", header.dst_port, " op ", header.op);
}

std::vector<std::string> CaptureContents::Lines() const {
  return Each(packets, [](const Packet& packet) { return packet.ToString(); });
}

std::vector<std::string> CaptureContents::Interfaces() const {
  return Each(packets, [](const Packet& packet) { return packet.interface; });
}

std::vector<std::string> CaptureContents::Payloads() const {
  return Each(packets, [](const Packet& packet) { return packet.payload; });
}

CaptureContents ReadCapture(std::string_view file) {
  CaptureContents contents;
  if (Bytes(file).Number<uint32_t>() == kPcapMagic) {
    ReadPcap(Bytes(file), contents);
  } else {
    ReadPcapng(Bytes(file), contents);
  }
  return contents;
}

}  // namespace kinsock::testing
