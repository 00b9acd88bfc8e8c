// SPDX-License-Identifier: Apache-2.0
//
// The newer format of capture files (draft-ietf-opsawg-pcapng): blocks, each with its type, its length at both ends and
// options; everything is padded to 4 bytes.
//
//     section header, then in any order: interface description, enhanced packet, interface statistics
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/little_endian.h"
#include "capture/writer.h"

namespace kinsock {
namespace {

constexpr uint32_t kSectionHeader = 0x0a0d0d0a;
constexpr uint32_t kInterfaceDescription = 1;
constexpr uint32_t kInterfaceStatistics = 5;
constexpr uint32_t kEnhancedPacket = 6;
constexpr uint32_t kByteOrderMagic = 0x1a2b3c4d;

constexpr uint16_t kEndOfOptions = 0;
constexpr uint16_t kSectionApplication = 4;
constexpr uint16_t kInterfaceName = 2;
constexpr uint16_t kInterfaceText = 3;
constexpr uint16_t kInterfaceTimeResolution = 9;
constexpr uint8_t kNanoseconds = 9;  // 10^-9
constexpr uint16_t kPacketFlags = 2;
constexpr uint32_t kInbound = 1;
constexpr uint32_t kOutbound = 2;
constexpr uint16_t kStatisticsBegin = 2;
constexpr uint16_t kStatisticsEnd = 3;
constexpr uint16_t kStatisticsReceived = 4;
constexpr uint16_t kStatisticsDropped = 5;

// Appends one block to a string; its length is filled in when the block is complete.
class Block {
 public:
  Block(uint32_t type, std::string& out) : out_(out), begin_(out.size()) {
    Number(type);
    Number(uint32_t{0});
  }
  ~Block() {
    const Le<uint32_t> length(static_cast<uint32_t>(out_.size() - begin_ + sizeof(uint32_t)));
    out_.replace(begin_ + sizeof(uint32_t), sizeof(length), reinterpret_cast<const char*>(&length), sizeof(length));
    Bytes(&length, sizeof(length));
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  template <typename Integer>
  void Number(Integer number) {
    const Le<Integer> bytes(number);
    Bytes(&bytes, sizeof(bytes));
  }
  // A time, or a large number among times: the upper half first.
  void Halves(uint64_t number) {
    Number(static_cast<uint32_t>(number >> 32));
    Number(static_cast<uint32_t>(number));
  }
  void Pad() { out_.append((4 - (out_.size() - begin_) % 4) % 4, '\0'); }

  void Option(uint16_t code, std::string_view value) {
    Number(code);
    Number(static_cast<uint16_t>(value.size()));
    out_.append(value);
    Pad();
  }
  void NumberOption(uint16_t code, uint64_t number) {
    Number(code);
    Number(static_cast<uint16_t>(sizeof(number)));
    Number(number);
  }
  void TimeOption(uint16_t code, uint64_t nanoseconds) {
    Number(code);
    Number(static_cast<uint16_t>(sizeof(nanoseconds)));
    Halves(nanoseconds);
  }
  void EndOptions() { Option(kEndOfOptions, ""); }

 private:
  void Bytes(const void* bytes, size_t size) { out_.append(static_cast<const char*>(bytes), size); }

  std::string& out_;
  const size_t begin_;
};

class PcapngWriter final : public CaptureWriter {
 public:
  PcapngWriter(uint32_t snap_length, std::string application)
      : snap_length_(snap_length), application_(std::move(application)) {}

  void Begin(std::string& out) override {
    Block block(kSectionHeader, out);
    block.Number(kByteOrderMagic);
    block.Number(uint16_t{1});  // version 1.0
    block.Number(uint16_t{0});
    block.Number(UINT64_MAX);  // until the end of the file
    block.Option(kSectionApplication, application_);
    block.EndOptions();
  }

  void AddInterface(const CaptureInterface& interface, std::string& out) override {
    Block block(kInterfaceDescription, out);
    block.Number(static_cast<uint16_t>(kLinkType));
    block.Number(uint16_t{0});
    block.Number(snap_length_);
    block.Option(kInterfaceName, interface.name);
    block.Option(kInterfaceText, interface.description);
    block.Option(kInterfaceTimeResolution, {reinterpret_cast<const char*>(&kNanoseconds), 1});
    block.EndOptions();
  }

  void AddPacket(uint32_t interface, CaptureDirection direction, const CaptureRecord& record, std::string_view payload,
                 std::string& out) override {
    Block block(kEnhancedPacket, out);
    block.Number(interface);
    block.Halves(record.nanoseconds);
    block.Number(kHeaderBytes + static_cast<uint32_t>(payload.size()));
    block.Number(kHeaderBytes + record.length);
    AppendPacketHeader(record, out);
    out.append(payload);
    block.Pad();
    block.Number(kPacketFlags);
    block.Number(static_cast<uint16_t>(sizeof(kInbound)));
    block.Number(direction == CaptureDirection::kToGuest ? kInbound : kOutbound);
    block.EndOptions();
  }

  void AddStatistics(uint32_t interface, uint64_t seen, uint64_t lost, uint64_t begin, uint64_t now,
                     std::string& out) override {
    Block block(kInterfaceStatistics, out);
    block.Number(interface);
    block.Halves(now);
    block.TimeOption(kStatisticsBegin, begin);
    block.TimeOption(kStatisticsEnd, now);
    block.NumberOption(kStatisticsReceived, seen);
    block.NumberOption(kStatisticsDropped, lost);
    block.EndOptions();
  }

 private:
  const uint32_t snap_length_;
  const std::string application_;
};

}  // namespace

std::unique_ptr<CaptureWriter> MakePcapngWriter(uint32_t snap_length, std::string application) {
  return std::make_unique<PcapngWriter>(snap_length, std::move(application));
}

}  // namespace kinsock
