// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_RELOAD_CONVERSION_H_
#define KINSOCK_SERVER_SERVICE_RELOAD_CONVERSION_H_

#include <cstddef>

#include "api/kinsock/v1/admin_service.pb.h"
#include "api/kinsock/v1/event.pb.h"
#include "server/config/reload_report.h"

namespace kinsock {

// Changes in one answer, each with at most kMaxReloadMessageBytes of text: together far below the 4 MiB that a message
// may have. Beyond: counted in `more_changes`.
inline constexpr size_t kMaxReloadChanges = 4096;
inline constexpr size_t kMaxReloadMessageBytes = 512;

// Pure functions; any thread.
v1::ReloadResponse ToProto(const ReloadReport& report);

// CONFIG_RELOADED or CONFIG_REFUSED.
v1::Event ReloadEvent(const ReloadReport& report);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_RELOAD_CONVERSION_H_
