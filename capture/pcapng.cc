// SPDX-License-Identifier: Apache-2.0
//
// The newer format of capture files (draft-ietf-opsawg-pcapng): blocks, each with its type, its length at both ends and
// options; everything is padded to 4 bytes.
//
//     section header, then in any order: interface description, enhanced packet, interface statistics
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/little_endian.h"
#include "capture/packet_header.h"
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

template <typename Bytes>
void Append(const Bytes& bytes, std::string& out) {
  out.append(reinterpret_cast<const char*>(&bytes), sizeof(bytes));
}

size_t PaddingBehind(size_t bytes) { return (4 - bytes % 4) % 4; }

// A time, as its upper half and then its lower one.
Le<uint64_t> Halves(uint64_t nanoseconds) { return Le<uint64_t>(std::rotl(nanoseconds, 32)); }

// Appends a block to a string: `type`, and `Body`, which is what it begins with; then options. Its length is filled in
// when it is complete.
class Block {
 public:
  template <typename Body>
  Block(uint32_t type, const Body& body, std::string& out) : out_(out), begin_(out.size()) {
    Append(Le<uint32_t>(type), out_);
    Append(Le<uint32_t>(0), out_);
    Append(body, out_);
  }
  ~Block() {
    Option(kEndOfOptions, "");
    const Le<uint32_t> length(static_cast<uint32_t>(out_.size() - begin_ + sizeof(uint32_t)));
    std::memcpy(&out_[begin_ + sizeof(uint32_t)], &length, sizeof(length));
    Append(length, out_);
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  void Option(uint16_t code, std::string_view value) {
    Append(Le<uint16_t>(code), out_);
    Append(Le<uint16_t>(static_cast<uint16_t>(value.size())), out_);
    out_.append(value);
    out_.append(PaddingBehind(value.size()), '\0');
  }
  void Option(uint16_t code, Le<uint64_t> number) {
    Option(code, std::string_view(reinterpret_cast<const char*>(&number), sizeof(number)));
  }

 private:
  std::string& out_;
  const size_t begin_;
};

struct SectionBody {
  Le<uint32_t> byte_order;
  Le<uint16_t> major, minor;
  Le<uint64_t> length;
} __attribute__((packed));

struct InterfaceBody {
  Le<uint16_t> link_type, reserved;
  Le<uint32_t> snap_length;
} __attribute__((packed));

struct StatisticsBody {
  Le<uint32_t> interface;
  Le<uint64_t> time;
} __attribute__((packed));

// The block that there are millions of, in two pieces of fixed size, with the payload and its padding between them.
struct PacketBegin {
  Le<uint32_t> type, block_length, interface;
  Le<uint64_t> time;
  Le<uint32_t> captured, length;
  CapturePacketHeader header;
} __attribute__((packed));
static_assert(sizeof(PacketBegin) % 4 == 0);

struct PacketEnd {
  Le<uint16_t> flags_option, flags_size;
  Le<uint32_t> flags;
  Le<uint32_t> end_of_options;
  Le<uint32_t> block_length;
} __attribute__((packed));

class PcapngWriter final : public CaptureWriter {
 public:
  PcapngWriter(uint32_t snap_length, std::string application)
      : snap_length_(snap_length), application_(std::move(application)) {}

  void Begin(std::string& out) override {
    Block block(kSectionHeader,
                SectionBody{.byte_order = Le<uint32_t>(kByteOrderMagic),
                            .major = Le<uint16_t>(1),
                            .minor = Le<uint16_t>(0),
                            .length = Le<uint64_t>(UINT64_MAX)},  // until the end of the file
                out);
    block.Option(kSectionApplication, application_);
  }

  void AddInterface(const CaptureInterface& interface, std::string& out) override {
    Block block(kInterfaceDescription,
                InterfaceBody{.link_type = Le<uint16_t>(kLinkType),
                              .reserved = Le<uint16_t>(0),
                              .snap_length = Le<uint32_t>(snap_length_)},
                out);
    block.Option(kInterfaceName, interface.name);
    block.Option(kInterfaceText, interface.description);
    block.Option(kInterfaceTimeResolution, {reinterpret_cast<const char*>(&kNanoseconds), 1});
  }

  void AddPacket(uint32_t interface, CaptureDirection direction, const CaptureRecord& record, std::string_view payload,
                 std::string& out) override {
    const size_t padding = PaddingBehind(payload.size());
    const Le<uint32_t> block_length(
        static_cast<uint32_t>(sizeof(PacketBegin) + payload.size() + padding + sizeof(PacketEnd)));
    Append(PacketBegin{.type = Le<uint32_t>(kEnhancedPacket),
                       .block_length = block_length,
                       .interface = Le<uint32_t>(interface),
                       .time = Halves(record.nanoseconds),
                       .captured = Le<uint32_t>(kHeaderBytes + static_cast<uint32_t>(payload.size())),
                       .length = Le<uint32_t>(kHeaderBytes + record.length),
                       .header = PacketHeaderOf(record)},
           out);
    out.append(payload);
    out.append(padding, '\0');
    Append(PacketEnd{.flags_option = Le<uint16_t>(kPacketFlags),
                     .flags_size = Le<uint16_t>(sizeof(PacketEnd::flags)),
                     .flags = Le<uint32_t>(direction == CaptureDirection::kToGuest ? kInbound : kOutbound),
                     .end_of_options = Le<uint32_t>(0),
                     .block_length = block_length},
           out);
  }

  void AddStatistics(uint32_t interface, uint64_t seen, uint64_t lost, uint64_t begin, uint64_t now,
                     std::string& out) override {
    Block block(kInterfaceStatistics, StatisticsBody{.interface = Le<uint32_t>(interface), .time = Halves(now)}, out);
    block.Option(kStatisticsBegin, Halves(begin));
    block.Option(kStatisticsEnd, Halves(now));
    block.Option(kStatisticsReceived, Le<uint64_t>(seen));
    block.Option(kStatisticsDropped, Le<uint64_t>(lost));
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
