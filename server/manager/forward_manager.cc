// SPDX-License-Identifier: Apache-2.0
#include "server/manager/forward_manager.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "device/vsock_device.h"
#include "server/host/log.h"
#include "server/manager/definitions.h"
#include "server/manager/vm_refusals.h"
#include "server/model/forward_validation.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

constexpr char kForwardType[] = "kinsock.v1.Forward";

absl::Status ForwardNotFound(const std::string& id) {
  return DefinitionNotFound("FORWARD_NOT_FOUND", kForwardType, "forwards/" + id);
}

// The journal has let go of both.
absl::Status VmWentMeanwhile() {
  return Error(absl::StatusCode::kFailedPrecondition, "VM_DELETING", "the VM was deleted while its forward was made")
      .RetryAfter(std::chrono::seconds(1));
}

std::shared_ptr<Forward> MakeForward(ForwardId number, const ForwardSpec& spec, const HostEndpoint& host) {
  auto forward = std::make_shared<Forward>();
  forward->id = number;
  forward->vm = spec.vm;
  forward->direction = *spec.direction;
  forward->guest_port = spec.guest_port;
  forward->host = host;
  forward->proxy_header = spec.send_proxy_v2;
  return forward;
}

}  // namespace

ForwardManager::ForwardManager(EventLoop& loop, const Clock& clock, ReactorPool& pool, VmManager& vms,
                               SocketRegistry& sockets, VmJournal& journal, OnChange on_change)
    : loop_(loop),
      pool_(pool),
      vms_(vms),
      sockets_(sockets),
      journal_(journal),
      on_change_(std::move(on_change)),
      answers_(clock) {
  vms_.SetOnDeparture({.begins = [this](const std::string& vm) { OnVmGoing(vm); },
                       .ends = [this](const std::string& vm) { leaving_.erase(vm); }});
}

ForwardManager::~ForwardManager() { vms_.SetOnDeparture({}); }

// --- The books ---

ForwardManager::Entry& ForwardManager::Add(ForwardDefinitionPtr definition) {
  const std::string id = definition->id;
  const ForwardId number = next_number_++;
  ids_[number] = id;
  of_vms_[definition->spec.vm_id()].push_back(number);
  Entry& entry = forwards_[id];
  entry.number = number;
  entry.definition = std::move(definition);
  return entry;
}

void ForwardManager::Remove(ForwardId number) {
  const auto id = ids_.find(number);
  if (id == ids_.end()) return;
  const auto entry = forwards_.find(id->second);
  const auto of_vm = of_vms_.find(entry->second.definition->spec.vm_id());
  std::erase(of_vm->second, number);
  if (of_vm->second.empty()) of_vms_.erase(of_vm);
  forwards_.erase(entry);
  ids_.erase(id);
}

ForwardManager::Entry* ForwardManager::Find(ForwardId number) {
  const auto id = ids_.find(number);
  return id != ids_.end() ? &forwards_.at(id->second) : nullptr;
}

void ForwardManager::Tell(Change change, const ForwardDefinition& definition) {
  static constexpr const char* kNames[] = {"forward.created", "forward.updated", "forward.deleted"};
  Log(LogLevel::kInfo, kNames[static_cast<size_t>(change)])
      .With("forward", definition.name())
      .With("vm", definition.spec.vm)
      .With("generation", definition.generation);
  if (on_change_) on_change_(change, definition);
}

absl::Status ForwardManager::CheckRoom(size_t all, size_t of_vm) {
  if (all >= kMaxForwards) return QuotaExceeded("forwards", kMaxForwards, "delete some");
  if (of_vm < kMaxForwardsPerVm) return absl::OkStatus();
  return QuotaExceeded("forwards of a VM", kMaxForwardsPerVm, "delete some");
}

absl::Status ForwardManager::CheckRoom(const ForwardSpec& spec) const {
  const auto of_vm = of_vms_.find(spec.vm_id());
  return CheckRoom(forwards_.size(), of_vm != of_vms_.end() ? of_vm->second.size() : 0);
}

// A port that the guest calls leads to one place. What the configuration says comes before what was kept.
absl::Status ForwardManager::CheckPort(const ForwardSpec& spec, ForwardId but, bool configured) const {
  const auto of_vm = of_vms_.find(spec.vm_id());
  if (spec.to_guest() || of_vm == of_vms_.end()) return absl::OkStatus();
  for (const ForwardId number : of_vm->second) {
    const Entry& other = forwards_.at(ids_.at(number));
    if (number == but || other.definition->spec.to_guest() || (configured && other.kept)) continue;
    if (other.definition->spec.guest_port != spec.guest_port && other.next_port != spec.guest_port) continue;
    return Error(absl::StatusCode::kAlreadyExists, "GUEST_PORT_BUSY",
                 absl::StrCat("port ", spec.guest_port, " of the host leads the guest of ", spec.vm, " through ",
                              other.definition->name(), "; choose another port, or change that one"))
        .With("port", std::to_string(spec.guest_port))
        .With("holder", other.definition->name())
        .Resource(kForwardType, other.definition->name());
  }
  return absl::OkStatus();
}

// What comes from the configuration file is there as long as the file says so.
void ForwardManager::Commit(JournalEntry entry, bool saved, VmJournal::Done done) {
  if (!saved) return done(absl::OkStatus());
  journal_.Commit(std::move(entry), std::move(done));
}

void ForwardManager::NoteRequest(const MutationRequest& request, const ForwardDefinition& definition,
                                 JournalEntry& entry) {
  if (request.request_id.empty()) return;
  entry.object_requests.push_back({AnsweredObjectRequest::Kind::kForward, request.request_id, request.request_hash, "",
                                   definition.id, definition.uid,
                                   std::chrono::system_clock::now() + Answers<ForwardSnapshot>::kKeep});
}

// --- Creation ---

void ForwardManager::Create(ForwardCreation creation, Done done) {
  loop_.thread().AssertHeld();
  if (closed_) return done(ShuttingDown());
  if (!creation.validate_only) {
    done = answers_.Enter(creation.request_id, creation.request_hash, std::move(done));
  }
  if (!done) return;
  const ForwardSpec& spec = creation.spec;
  const SocketDirs* const within = WithinFor(creation.configured);
  std::vector<FieldViolation> violations = CheckIds(creation, "forward_id");
  Append(CheckForward(spec), violations);
  absl::Status busy;
  if (violations.empty()) busy = ForwardPlace::Check(spec, sockets_, within, violations);
  if (!violations.empty()) return done(FieldsInvalid("forward " + Quoted(creation.id), violations));
  if (const auto same = forwards_.find(creation.id); same != forwards_.end()) {
    return done(DefinitionExists("FORWARD_EXISTS", kForwardType, *same->second.definition));
  }
  const absl::StatusOr<DeviceId> device = vms_.ServedDevice(spec.vm_id());
  // A VM that cannot be served again is no reason not to start.
  const bool waits = creation.configured && ErrorReason(device.status()) == "VM_FAILED";
  if (!device.ok() && !waits) return done(device.status());
  for (const absl::Status& fault : {CheckRoom(spec), CheckPort(spec, 0, creation.configured), busy}) {
    if (!fault.ok()) return done(fault);
  }
  auto definition = Define<ForwardDefinition>(creation);
  definition->spec = spec;
  if (creation.validate_only) return done(ForwardSnapshot{.definition = std::move(definition)});
  if (waits) return done(Keep(Add(std::move(definition)), device.status()));
  absl::StatusOr<ForwardPlace> place = ForwardPlace::Take(spec, definition->name(), sockets_, within);
  if (!place.ok()) return done(place.status());

  JournalEntry entry;
  entry.put_forward = definition;
  NoteRequest(creation, *definition, entry);
  Entry& added = Add(definition);
  added.place = *std::move(place);
  Commit(std::move(entry), !creation.configured,
         [this, number = added.number, device = *device, done = std::move(done)](const absl::Status& written) mutable {
           OnCreated(number, written, device, std::move(done));
         });
}

// It is there, and not served.
ForwardSnapshot ForwardManager::Keep(Entry& entry, const absl::Status& why) {
  entry.changing = false;
  entry.made = true;
  entry.error = std::string(why.message());
  Tell(Change::kCreated, *entry.definition);
  return Look(entry);
}

void ForwardManager::OnCreated(ForwardId number, const absl::Status& written, DeviceId device, Done done) {
  Entry* entry = Find(number);
  if (!written.ok()) {
    Remove(number);
    return done(written);
  }
  if (entry == nullptr) return done(VmWentMeanwhile());
  Serve(*entry, device, [this, number, done = std::move(done)](absl::Status served) mutable {
    Entry* made = Find(number);
    if (made == nullptr || !served.ok()) return GiveUp(number, std::move(served), std::move(done));
    made->changing = false;
    made->made = true;
    Tell(Change::kCreated, *made->definition);
    done(Look(*made));
  });
}

// It is in the journal, and nobody was told of it.
void ForwardManager::GiveUp(ForwardId number, absl::Status why, Done done) {
  const Entry* const entry = Find(number);
  if (entry == nullptr) return done(VmWentMeanwhile());
  JournalEntry undone;
  undone.erase_forward = entry->definition->id;
  Commit(std::move(undone), !entry->definition->configured,
         [this, number, why = std::move(why), done = std::move(done)](const absl::Status& written) mutable {
           const Entry* const left = Find(number);
           if (left != nullptr && !written.ok()) {
             Log(LogLevel::kError, "forward.not_undone")
                 .With("forward", left->definition->name())
                 .With("reason", written.message());
           }
           Remove(number);
           done(std::move(why));
         });
}

// Has the device serve it. `served`: it does, or it is gone.
void ForwardManager::Serve(Entry& entry, DeviceId device, Served served) {
  std::shared_ptr<Forward> forward = MakeForward(entry.number, entry.definition->spec, entry.place->endpoint());
  entry.stats = forward->stats;
  entry.device = device;
  auto listener = std::make_shared<UniqueFd>(entry.place->TakeListener());
  auto result = std::make_shared<absl::Status>();
  pool_.Tell(
      device,
      [forward = std::move(forward), listener, result](VsockDevice& its) {
        *result = its.AddForward(forward, std::move(*listener));
      },
      [result, served = std::move(served)]() mutable {
        if (result->ok()) return served(absl::OkStatus());
        served(Error(absl::StatusCode::kResourceExhausted, "SOCKET_FAILED", std::string(result->message())));
      });
}

// --- Change ---

void ForwardManager::Update(ForwardUpdate update, Done done) {
  loop_.thread().AssertHeld();
  if (closed_) return done(ShuttingDown());
  if (!update.validate_only) done = answers_.Enter(update.request_id, update.request_hash, std::move(done));
  if (!done) return;
  const auto found = forwards_.find(update.id);
  if (found == forwards_.end() || !found->second.made) return done(ForwardNotFound(update.id));
  Entry& entry = found->second;
  const ForwardDefinition& current = *entry.definition;
  if (absl::Status fault = CheckChange(current, update); !fault.ok()) return done(std::move(fault));
  absl::StatusOr<ForwardSpec> spec = update.change(current.spec);
  if (!spec.ok()) return done(spec.status());
  const SocketDirs* const within = WithinFor(current.configured);
  std::vector<FieldViolation> violations = CheckForward(*spec);
  CheckRequestId(update.request_id, violations);
  const bool moves = spec->address() != current.spec.address();
  absl::Status busy;
  if (moves && violations.empty()) busy = ForwardPlace::Check(*spec, sockets_, within, violations);
  if (!violations.empty()) return done(FieldsInvalid(current.name(), violations));
  if (*spec == current.spec) return done(Look(entry));
  // The journal may have let go of both already. One whose VM is FAILED can be changed for when it is not.
  const absl::Status served = vms_.ServedDevice(current.spec.vm_id()).status();
  if (!served.ok() && ErrorReason(served) != "VM_FAILED") return done(served);
  for (const absl::Status& fault : {CheckPort(*spec, entry.number, false), busy}) {
    if (!fault.ok()) return done(fault);
  }
  auto next = std::make_shared<ForwardDefinition>(current);
  next->spec = *std::move(spec);
  ++next->generation;
  if (update.validate_only) return done(ForwardSnapshot{std::move(next), entry.stats, entry.error});
  if (entry.changing) return done(ConcurrentChange(current.name()));
  std::optional<ForwardPlace> place;
  if (moves && entry.place.has_value()) {
    absl::StatusOr<ForwardPlace> taken = ForwardPlace::Take(next->spec, next->name(), sockets_, within);
    if (!taken.ok()) return done(taken.status());
    place = *std::move(taken);
  }
  entry.changing = true;
  entry.next_port = next->spec.guest_port;
  JournalEntry journal_entry;
  journal_entry.put_forward = next;
  NoteRequest(update, *next, journal_entry);
  Commit(std::move(journal_entry), !next->configured,
         [this, number = entry.number, next, place = std::move(place),
          done = std::move(done)](const absl::Status& written) mutable {
           Entry* changed = Find(number);
           if (changed == nullptr) return done(ForwardNotFound(next->id));
           if (written.ok()) return Become(*changed, std::move(next), std::move(place), std::move(done));
           changed->changing = false;
           changed->next_port.reset();
           done(written);
         });
}

void ForwardManager::Become(Entry& entry, ForwardDefinitionPtr next, std::optional<ForwardPlace> place, Done done) {
  entry.definition = next;
  if (place.has_value()) std::swap(entry.place, place);
  // The old place is given back when the device knows the new one.
  auto told = [this, number = entry.number, next, old = std::move(place), done = std::move(done)]() mutable {
    Entry* changed = Find(number);
    if (changed == nullptr) return done(ForwardNotFound(next->id));
    changed->changing = false;
    changed->next_port.reset();
    Tell(Change::kUpdated, *next);
    done(Look(*changed));
  };
  if (!entry.place.has_value() || !entry.device.has_value()) return told();
  pool_.Tell(
      *entry.device,
      [number = entry.number, next, host = entry.place->endpoint()](VsockDevice& device) {
        device.ChangeForward(number, next->spec.guest_port, host, next->spec.send_proxy_v2);
      },
      std::move(told));
}

// --- Deletion ---

void ForwardManager::Delete(ForwardDeletion deletion, Done done) {
  loop_.thread().AssertHeld();
  if (closed_) return done(ShuttingDown());
  if (!deletion.validate_only) done = answers_.Enter(deletion.request_id, deletion.request_hash, std::move(done));
  if (!done) return;
  std::vector<FieldViolation> violations;
  CheckRequestId(deletion.request_id, violations);
  if (!violations.empty()) return done(FieldsInvalid("", violations));
  const auto found = forwards_.find(deletion.id);
  if (found == forwards_.end() || !found->second.made) {
    return deletion.allow_missing ? done(ForwardSnapshot()) : done(ForwardNotFound(deletion.id));
  }
  Entry& entry = found->second;
  const ForwardDefinition& current = *entry.definition;
  if (!deletion.uid.empty() && deletion.uid != current.uid) {
    return done(Error(absl::StatusCode::kAborted, "UID_MISMATCH",
                      absl::StrCat(current.name(), " has uid ", current.uid, ", not ", Quoted(deletion.uid),
                                   "; it is another forward of the same name"))
                    .With("current", current.uid)
                    .Resource(kForwardType, current.name()));
  }
  if (absl::Status fault = CheckChange(current, deletion); !fault.ok()) return done(std::move(fault));
  if (deletion.validate_only) return done(Look(entry));
  if (entry.changing) return done(ConcurrentChange(current.name()));
  entry.changing = true;
  JournalEntry journal_entry;
  journal_entry.erase_forward = deletion.id;
  NoteRequest(deletion, current, journal_entry);
  Commit(std::move(journal_entry), !current.configured,
         [this, number = entry.number, last = Look(entry), reset = deletion.reset_connections,
          done = std::move(done)](const absl::Status& written) mutable {
           Entry* gone = Find(number);
           if (gone != nullptr && !written.ok()) gone->changing = false;
           if (!written.ok()) return done(written);
           if (gone == nullptr) return done(std::move(last));  // with its VM
           if (gone->place.has_value()) gone->place->RemoveFile();
           auto told = [this, number, last = std::move(last), done = std::move(done)]() mutable {
             if (Find(number) != nullptr) Tell(Change::kDeleted, *last.definition);
             Remove(number);
             done(std::move(last));
           };
           if (!gone->device.has_value()) return told();
           pool_.Tell(
               *gone->device, [number, reset](VsockDevice& device) { device.RemoveForward(number, reset); },
               std::move(told));
         });
}

// A VM goes, and the journal has let go of its forwards.
void ForwardManager::OnVmGoing(const std::string& vm) {
  const auto of_vm = of_vms_.find(vm);
  if (of_vm == of_vms_.end()) return;
  for (const ForwardId number : std::vector<ForwardId>(of_vm->second)) {
    Entry& entry = *Find(number);
    if (entry.place.has_value()) {
      entry.place->RemoveFile();
      leaving_[vm].push_back(*std::move(entry.place));
    }
    if (entry.made) Tell(Change::kDeleted, *entry.definition);
    Remove(number);
  }
}

// --- Looking ---

absl::StatusOr<ForwardSnapshot> ForwardManager::Get(const std::string& id) const {
  const auto found = forwards_.find(id);
  if (found == forwards_.end() || !found->second.made) return ForwardNotFound(id);
  return Look(found->second);
}

std::vector<ForwardSnapshot> ForwardManager::List(const std::string& vm, const std::string& after, size_t max) const {
  std::vector<ForwardSnapshot> list;
  for (auto forward = forwards_.upper_bound(after); forward != forwards_.end() && list.size() < max; ++forward) {
    const Entry& entry = forward->second;
    if (entry.made && (vm.empty() || entry.definition->spec.vm_id() == vm)) list.push_back(Look(entry));
  }
  return list;
}

}  // namespace kinsock
