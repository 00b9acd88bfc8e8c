// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_CAPTURE_ORDER_H_
#define KINSOCK_SERVER_SERVICE_CAPTURE_ORDER_H_

#include <chrono>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "api/kinsock/v1/capture.pb.h"
#include "capture/filter_text.h"
#include "capture/reader.h"
#include "capture/writer.h"

namespace kinsock {

// What a capture is asked for, as far as it can be checked without the daemon. Plain value.
struct CaptureOrder {
  static constexpr std::chrono::hours kMaxDuration{24};

  CaptureFilterText filter;
  bool pcapng = true;
  uint32_t payload_bytes = 0;  // of each packet, at most
  CaptureReader::Limits limits;
  std::chrono::nanoseconds duration{0};  // 0: no bound

  std::unique_ptr<CaptureWriter> NewWriter() const;
};

// INVALID_ARGUMENT FIELD_INVALID, with every bad field.
absl::StatusOr<CaptureOrder> ToCaptureOrder(const v1::CaptureRequest& request);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_CAPTURE_ORDER_H_
