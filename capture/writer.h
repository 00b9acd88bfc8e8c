// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CAPTURE_WRITER_H_
#define KINSOCK_CAPTURE_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "capture/point.h"
#include "capture/record.h"

namespace kinsock {

// A point as a file names it.
struct CaptureInterface {
  std::string name;         // "web-1:to_guest"
  std::string description;  // for a person
  CaptureDirection direction = CaptureDirection::kFromGuest;
};

// Writes a capture as a file: appends to a string what belongs there next. Cut after any call, it is a whole file. Not
// thread-safe.
//
// A packet is what Linux' vsockmon makes of one (struct af_vsockmon_hdr, <linux/vsockmon.h>), LINKTYPE_VSOCK: 32 bytes
// that say who, to whom and what kind, then the header as it was (virtio 1.3, 5.10.6), then payload. All numbers are
// little-endian.
class CaptureWriter {
 public:
  // LINKTYPE_VSOCK, as tcpdump.org has it.
  static constexpr uint32_t kLinkType = 271;
  // In front of each payload.
  static constexpr uint32_t kHeaderBytes = 32 + kVsockHeaderBytes;
  // The longest packet.
  static constexpr uint32_t kMaxPacketBytes = kHeaderBytes + kMaxPayloadBytes;

  virtual ~CaptureWriter() = default;

  // The beginning of the file.
  virtual void Begin(std::string& out) = 0;
  // The interfaces are numbered from 0, in the order in which they are added.
  virtual void AddInterface(const CaptureInterface& interface, std::string& out) = 0;
  // `payload`: as much as there is of it.
  virtual void AddPacket(uint32_t interface, CaptureDirection direction, const CaptureRecord& record,
                         std::string_view payload, std::string& out) = 0;
  // What has been seen and lost at an interface since the beginning. Times in nanoseconds since 1970.
  virtual void AddStatistics(uint32_t interface, uint64_t seen, uint64_t lost, uint64_t begin, uint64_t now,
                             std::string& out) = 0;
};

// The classic format, with times in nanoseconds (magic 0xa1b23c4d). It knows neither interfaces nor what was lost.
// `snap_length`: the longest packet that will come.
std::unique_ptr<CaptureWriter> MakePcapWriter(uint32_t snap_length);

// pcapng, with an interface for each point, and statistics. `application`: who writes it.
std::unique_ptr<CaptureWriter> MakePcapngWriter(uint32_t snap_length, std::string application);

}  // namespace kinsock

#endif  // KINSOCK_CAPTURE_WRITER_H_
