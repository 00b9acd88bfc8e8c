// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CAPTURE_FILTER_TEXT_H_
#define KINSOCK_CAPTURE_FILTER_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "capture/filter.h"

namespace kinsock {

// A filter as a person writes it. Terms stand behind each other, with "AND" between them or without, and all must hold:
//
//     vm=web-1 port=22,80 op!=credit_update direction=to_guest
//
// A term is KEY=VALUE or KEY!=VALUE; of several values behind commas one is enough. Keys: vm, network, direction
// (from_guest, to_guest), op (request, response, rst, shutdown, rw, credit_update, credit_request), cid and port (of
// either end), src_cid, dst_cid, src_port, dst_port. A CID is a number, or "host".
struct CaptureFilterText {
  // Somebody types it. Beyond: it is refused.
  static constexpr size_t kMaxBytes = 1024;
  // Each costs a comparison for each packet that is looked at. Beyond: it is refused.
  static constexpr size_t kMaxValues = 64;

  // What says itself.
  std::vector<CaptureFilter::Term> terms;
  // What names VMs (kDevice) or networks (kNetwork) by their ids; whoever knows them makes terms of these.
  struct Named {
    CaptureFilter::Key key;
    bool negated;
    std::vector<std::string> ids;
  };
  std::vector<Named> named;

  // INVALID_ARGUMENT: what is wrong, and what would be right.
  static absl::StatusOr<CaptureFilterText> Parse(std::string_view text);
};

}  // namespace kinsock

#endif  // KINSOCK_CAPTURE_FILTER_TEXT_H_
