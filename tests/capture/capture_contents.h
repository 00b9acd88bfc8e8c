// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_CAPTURE_CAPTURE_CONTENTS_H_
#define KINSOCK_TESTS_CAPTURE_CAPTURE_CONTENTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "router/vsock_header.h"

namespace kinsock::testing {

// What a capture file says, read by the formats' own rules; tshark says whether these are understood as others do, but
// takes a second each time.
struct CaptureContents {
  struct Packet {
    std::string interface;  // pcapng: its name
    uint32_t flags = 0;     // pcapng: epb_flags
    uint64_t nanoseconds = 0;
    uint32_t length = 0;  // on the wire
    uint16_t kind = 0;    // AF_VSOCK_OP_*
    VsockHeader header;
    std::string payload;

    // "3:4:5000 op 1": whom from, whom to, and what.
    std::string ToString() const;
  };
  struct Counts {
    uint64_t seen = 0;
    uint64_t lost = 0;
  };

  std::vector<Packet> packets;
  std::map<std::string, Counts> counts;  // pcapng: by interface, the last ones
  std::string fault;                     // what is wrong with the file, where reading it ended; empty: it is whole

  std::vector<std::string> Lines() const;
  std::vector<std::string> Interfaces() const;
  std::vector<std::string> Payloads() const;
};

// Of a file in either format.
CaptureContents ReadCapture(std::string_view file);

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_CAPTURE_CAPTURE_CONTENTS_H_
