// SPDX-License-Identifier: Apache-2.0
//
// The classic format of capture files: 24 bytes, then 16 in front of each packet.
#include <memory>
#include <string>

#include "base/little_endian.h"
#include "capture/packet_header.h"
#include "capture/writer.h"

namespace kinsock {
namespace {

constexpr uint32_t kNanosecondMagic = 0xa1b23c4d;

struct FileHeader {
  Le<uint32_t> magic;
  Le<uint16_t> major, minor;
  Le<uint32_t> time_zone, accuracy;  // always 0
  Le<uint32_t> snap_length, link_type;
} __attribute__((packed));
static_assert(sizeof(FileHeader) == 24);

// A packet, but for its payload.
struct Packet {
  Le<uint32_t> seconds, nanoseconds, captured, length;
  CapturePacketHeader header;
} __attribute__((packed));
static_assert(sizeof(Packet) == 16 + sizeof(CapturePacketHeader));

template <typename Struct>
void Append(const Struct& bytes, std::string& out) {
  out.append(reinterpret_cast<const char*>(&bytes), sizeof(bytes));
}

class PcapWriter final : public CaptureWriter {
 public:
  explicit PcapWriter(uint32_t snap_length) : snap_length_(snap_length) {}

  void Begin(std::string& out) override {
    Append(FileHeader{.magic = Le<uint32_t>(kNanosecondMagic),
                      .major = Le<uint16_t>(2),
                      .minor = Le<uint16_t>(4),
                      .time_zone = Le<uint32_t>(0),
                      .accuracy = Le<uint32_t>(0),
                      .snap_length = Le<uint32_t>(snap_length_),
                      .link_type = Le<uint32_t>(kLinkType)},
           out);
  }

  void AddPacket(uint32_t, CaptureDirection, const CaptureRecord& record, std::string_view payload,
                 std::string& out) override {
    constexpr uint64_t kSecond = 1'000'000'000;
    Append(Packet{.seconds = Le<uint32_t>(static_cast<uint32_t>(record.nanoseconds / kSecond)),
                  .nanoseconds = Le<uint32_t>(static_cast<uint32_t>(record.nanoseconds % kSecond)),
                  .captured = Le<uint32_t>(kHeaderBytes + static_cast<uint32_t>(payload.size())),
                  .length = Le<uint32_t>(kHeaderBytes + record.length),
                  .header = PacketHeaderOf(record)},
           out);
    out.append(payload);
  }

  // There is no place for these.
  void AddInterface(const CaptureInterface&, std::string&) override {}
  void AddStatistics(uint32_t, uint64_t, uint64_t, uint64_t, uint64_t, std::string&) override {}

 private:
  const uint32_t snap_length_;
};

}  // namespace

std::unique_ptr<CaptureWriter> MakePcapWriter(uint32_t snap_length) {
  return std::make_unique<PcapWriter>(snap_length);
}

}  // namespace kinsock
