// SPDX-License-Identifier: Apache-2.0
#include "server/service/capture_order.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "server/convert/proto_time.h"
#include "server/status/error.h"

namespace kinsock {

std::unique_ptr<CaptureWriter> CaptureOrder::NewWriter() const {
  const uint32_t snap_length = CaptureWriter::kHeaderBytes + payload_bytes;
  return pcapng ? MakePcapngWriter(snap_length, absl::StrCat("kinsockd ", kVersion)) : MakePcapWriter(snap_length);
}

absl::StatusOr<CaptureOrder> ToCaptureOrder(const v1::CaptureRequest& request) {
  CaptureOrder order;
  std::vector<FieldViolation> violations;
  absl::StatusOr<CaptureFilterText> filter = CaptureFilterText::Parse(request.filter());
  if (filter.ok()) {
    order.filter = *std::move(filter);
  } else {
    violations.push_back({"filter", std::string(filter.status().message())});
  }
  const uint32_t snap_length = request.snap_length() == 0 ? CaptureWriter::kMaxPacketBytes : request.snap_length();
  if (snap_length < CaptureWriter::kHeaderBytes || snap_length > CaptureWriter::kMaxPacketBytes) {
    violations.push_back(
        {"snap_length", absl::StrCat("is not from ", CaptureWriter::kHeaderBytes, ", which are a packet's headers, to ",
                                     CaptureWriter::kMaxPacketBytes, "; 0 is all there is")});
  } else if (request.payload()) {
    order.payload_bytes = snap_length - CaptureWriter::kHeaderBytes;
  }
  if (request.has_duration()) {
    const std::optional<std::chrono::nanoseconds> duration = ToNanoseconds(request.duration());
    if (!duration.has_value() || duration->count() <= 0 || *duration > CaptureOrder::kMaxDuration) {
      violations.push_back({"duration", "is not more than 0 and at most 24 h"});
    } else {
      order.duration = *duration;
    }
  }
  switch (request.format()) {
    case v1::CaptureRequest::FORMAT_UNSPECIFIED:
    case v1::CaptureRequest::PCAPNG:
      break;
    case v1::CaptureRequest::PCAP:
      order.pcapng = false;
      break;
    default:
      violations.push_back({"format", absl::StrCat(static_cast<int>(request.format()), " is no format")});
  }
  order.limits = {.packets = request.max_packets(), .bytes = request.max_bytes()};
  if (!violations.empty()) return FieldsInvalid("", violations);
  return order;
}

}  // namespace kinsock
