// SPDX-License-Identifier: Apache-2.0
#include "server/store/vm_record.h"

#include <chrono>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/kinsock/v1/vm_service.pb.h"
#include "base/status_macros.h"
#include "server/convert/vm_conversion.h"
#include "server/convert/vm_requests.h"

namespace kinsock {

std::string ToRecord(const SavedVm& vm) {
  VmSnapshot bare;
  bare.definition = vm.definition;
  bare.status.cid = vm.cid;
  v1::Vm proto = ToProto(bare, "");
  // What only this start of the daemon knows, or what follows from the rest.
  proto.clear_resource_version();
  proto.clear_etag();
  proto.clear_managed_by();
  proto.clear_status();
  proto.mutable_status()->set_cid(vm.cid);
  proto.mutable_status()->set_driver_cid(vm.former_cid);
  return proto.SerializeAsString();
}

absl::StatusOr<SavedVm> FromRecord(std::string_view record) {
  v1::CreateVmRequest request;
  v1::Vm& proto = *request.mutable_vm();
  if (!proto.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
    return absl::DataLossError("is not a VM");
  }
  absl::StatusOr<std::string> id = ToVmId(proto.name());
  if (!id.ok() || proto.uid().empty() || proto.generation() < 1 || !IsGuestCid(proto.status().cid())) {
    return absl::DataLossError("lacks name, uid, generation or CID");
  }
  const Cid former = proto.status().driver_cid();
  if (former != 0 && !IsGuestCid(former)) return absl::DataLossError("names a former CID that cannot be one");
  request.set_vm_id(*id);
  absl::StatusOr<VmCreation> creation = ToVmCreation(request);
  if (!creation.ok()) return absl::DataLossError(creation.status().message());

  auto definition = std::make_shared<VmDefinition>();
  definition->id = *std::move(id);
  definition->uid = proto.uid();
  definition->generation = proto.generation();
  definition->create_time = WallTime(std::chrono::duration_cast<WallTime::duration>(
      std::chrono::seconds(proto.create_time().seconds()) + std::chrono::nanoseconds(proto.create_time().nanos())));
  definition->labels = std::move(creation->labels);
  definition->annotations = std::move(creation->annotations);
  definition->spec = std::move(creation->spec);
  return SavedVm{std::move(definition), proto.status().cid(), former};
}

}  // namespace kinsock
