// SPDX-License-Identifier: Apache-2.0
#include "server/service/forward_event.h"

#include "absl/strings/str_cat.h"

namespace kinsock {
namespace {

const char* ReasonOf(ForwardManager::Change change) {
  switch (change) {
    case ForwardManager::Change::kCreated:
      return "FORWARD_CREATED";
    case ForwardManager::Change::kUpdated:
      return "FORWARD_UPDATED";
    case ForwardManager::Change::kDeleted:
      break;
  }
  return "FORWARD_DELETED";
}

const char* Verb(ForwardManager::Change change) {
  switch (change) {
    case ForwardManager::Change::kCreated:
      return "was made";
    case ForwardManager::Change::kUpdated:
      return "was changed";
    case ForwardManager::Change::kDeleted:
      break;
  }
  return "is gone";
}

}  // namespace

v1::Event ForwardEvent(ForwardManager::Change change, const ForwardDefinition& forward) {
  v1::Event event;
  event.set_type(v1::Event::LIFECYCLE);
  event.set_severity(v1::Event::INFO);
  event.set_object(forward.name());
  event.set_reason(ReasonOf(change));
  event.set_message(absl::StrCat(forward.name(), " ", Verb(change), ": port ", forward.spec.guest_port, " of ",
                                 forward.spec.vm, forward.spec.to_guest() ? " at " : " leads to ",
                                 forward.spec.address()));
  auto& fields = *event.mutable_fields();
  fields["uid"] = forward.uid;
  fields["vm"] = forward.spec.vm;
  fields["generation"] = absl::StrCat(forward.generation);
  return event;
}

}  // namespace kinsock
