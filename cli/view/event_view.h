// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_VIEW_EVENT_VIEW_H_
#define KINSOCK_CLI_VIEW_EVENT_VIEW_H_

#include <string>

#include "api/kinsock/v1/event.pb.h"
#include "cli/text/options.h"

namespace kinsock {

// How events are shown.

// One, as a line, or a document of YAML; nothing where the format has nothing for it.
std::string RenderEvent(const v1::Event& event, const Options& options);

// Whether it is about the object of that name ("vms/web"), or one of those that took part in it.
bool IsAbout(const v1::Event& event, const std::string& name);

}  // namespace kinsock

#endif  // KINSOCK_CLI_VIEW_EVENT_VIEW_H_
