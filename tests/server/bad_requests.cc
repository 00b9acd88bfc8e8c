// SPDX-License-Identifier: Apache-2.0
#include "tests/server/bad_requests.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/kinsock/v1/admin_service.grpc.pb.h"
#include "api/kinsock/v1/connection_service.grpc.pb.h"
#include "api/kinsock/v1/forward_service.grpc.pb.h"
#include "api/kinsock/v1/network_service.grpc.pb.h"
#include "api/kinsock/v1/vm_service.grpc.pb.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/wire_format_lite.h"
#include "tests/server/bad_capture_requests.h"
#include "tests/server/bad_forward_requests.h"
#include "tests/server/bad_network_requests.h"
#include "tests/server/bad_tunnel_requests.h"
#include "tests/server/request_call.h"
#include "tests/server/running_daemon.h"

namespace kinsock::testing {
namespace {

using Case = BadRequest;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;
using grpc::StatusCode;

// One field of a message that may have a text or any bytes there.
std::string Field(int number, const std::string& value) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream out(&stream);
  WireFormatLite::WriteString(number, value, &out);
  out.Trim();
  return bytes;
}

class Catalogue {
 public:
  Catalogue(std::shared_ptr<grpc::Channel> channel, BadPaths paths)
      : channel_(std::move(channel)),
        paths_(std::move(paths)),
        vms_(v1::VmService::NewStub(channel_)),
        connections_(v1::ConnectionService::NewStub(channel_)),
        admin_(v1::AdminService::NewStub(channel_)) {}

  static std::vector<Case> Of(const std::shared_ptr<Catalogue>& self) {
    std::vector<Case> cases;
    self->AddSpecs(cases);
    self->AddVmMethods(cases);
    self->AddOthers(cases);
    self->AddBytes(cases);
    // The stubs live as long as somebody may call them.
    for (Case& bad : cases) bad.send = [self, send = std::move(bad.send)] { return send(); };
    return cases;
  }

 private:
  // CreateVm, ApplyVm: everything there is to say of a VM.
  void AddSpecs(std::vector<Case>& cases) {
    struct Spoiled {
      const char* what;
      std::function<void(v1::Vm&)> spoil;
      const char* field;
    };
    const auto socket = [](std::string path) {
      return [path](v1::Vm& vm) { vm.mutable_spec()->set_vhost_user_socket(path); };
    };
    static constexpr char kSocket[] = "vm.spec.vhost_user_socket";
    const std::vector<Spoiled> all = {
        {"10,000 labels",
         [](v1::Vm& vm) {
           for (int i = 0; i < 10'000; ++i) (*vm.mutable_labels())[absl::StrCat("label-", i)] = "x";
         },
         "vm.labels"},
        {"a label of no characters", [](v1::Vm& vm) { (*vm.mutable_labels())[""] = "x"; }, "vm.labels"},
        {"annotations of 100 KiB",
         [](v1::Vm& vm) { (*vm.mutable_annotations())["note"] = std::string(100 << 10, 'x'); }, "vm.annotations"},
        {"2^32 CIDs",
         [](v1::Vm& vm) {
           vm.mutable_spec()->mutable_cid()->mutable_range()->set_first(0);
           vm.mutable_spec()->mutable_cid()->mutable_range()->set_last(UINT32_MAX);
         },
         "vm.spec.cid.range.last"},
        {"a range that ends before it begins",
         [](v1::Vm& vm) {
           vm.mutable_spec()->mutable_cid()->mutable_range()->set_first(9);
           vm.mutable_spec()->mutable_cid()->mutable_range()->set_last(8);
         },
         "vm.spec.cid.range"},
        {"a reserved CID", [](v1::Vm& vm) { vm.mutable_spec()->mutable_cid()->set_static_cid(UINT32_MAX); },
         "vm.spec.cid.static_cid"},
        {"a path outside of the allowed directories", socket(paths_.forbidden + "/a.sock"), kSocket},
        {"a path with ..", socket(paths_.allowed + "/../forbidden/a.sock"), kSocket},
        {"a path through a symbolic link", socket(paths_.allowed + "/link/a.sock"), kSocket},
        {"a relative path", socket("a.sock"), kSocket},
        {"a long path", socket(paths_.allowed + "/" + std::string(4000, 'x')), kSocket},
        {"a path with a zero in it", socket(paths_.allowed + "/a" + std::string(1, '\0') + "b"), kSocket},
        {"a host side that leads nowhere",
         [](v1::Vm& vm) { vm.mutable_spec()->mutable_vsock_proxy()->set_forward_cid(0); },
         "vm.spec.vsock_proxy.forward_cid"},
        {"1,000 groups",
         [](v1::Vm& vm) {
           for (int i = 0; i < 1000; ++i) vm.mutable_spec()->add_groups(absl::StrCat("g", i));
         },
         "vm.spec.groups"},
        {"a group with a line feed", [](v1::Vm& vm) { vm.mutable_spec()->add_groups("a\nb"); }, "vm.spec.groups[0]"},
        {"a queue of 3", [](v1::Vm& vm) { vm.mutable_spec()->set_queue_size(3); }, "vm.spec.queue_size"},
        {"a buffer of 4 GiB", [](v1::Vm& vm) { vm.mutable_spec()->set_tx_buffer_bytes(UINT32_MAX); },
         "vm.spec.tx_buffer_bytes"},
        {"a negative time", [](v1::Vm& vm) { vm.mutable_spec()->mutable_orphan_ttl()->set_seconds(INT64_MIN); },
         "vm.spec.orphan_ttl"},
        {"a socket of nobody", [](v1::Vm& vm) { vm.mutable_spec()->mutable_socket_access()->set_owner("nobody else"); },
         "vm.spec.socket_access.owner"},
        {"a mode with more than permissions",
         [](v1::Vm& vm) { vm.mutable_spec()->mutable_socket_access()->set_mode(010000); },
         "vm.spec.socket_access.mode"},
        {"a rate of 2^64-1",
         [](v1::Vm& vm) { vm.mutable_spec()->mutable_quota()->mutable_bytes_to_guest()->set_rate(UINT64_MAX); },
         "vm.spec.quota.bytes_to_guest.rate"},
    };
    for (const Spoiled& bad : all) {
      v1::CreateVmRequest create;
      create.set_vm_id("new");
      bad.spoil(*create.mutable_vm());
      cases.push_back({absl::StrCat("CreateVm: ", bad.what), Call(vms(), &v1::VmService::Stub::CreateVm, create),
                       StatusCode::INVALID_ARGUMENT, "FIELD_INVALID", bad.field});
      v1::ApplyVmRequest apply;
      apply.set_vm_id("new");
      *apply.mutable_vm() = create.vm();
      cases.push_back({absl::StrCat("ApplyVm: ", bad.what), Call(vms(), &v1::VmService::Stub::ApplyVm, apply),
                       StatusCode::INVALID_ARGUMENT, "FIELD_INVALID", bad.field});
    }
  }

  void AddVmMethods(std::vector<Case>& cases) {
    const auto add = [&](std::string what, std::function<grpc::Status()> send, StatusCode code, const char* reason,
                         const char* field = "") {
      cases.push_back({std::move(what), std::move(send), code, reason, field});
    };
    const auto invalid = [&](std::string what, std::function<grpc::Status()> send, const char* field) {
      add(std::move(what), std::move(send), StatusCode::INVALID_ARGUMENT, "FIELD_INVALID", field);
    };
    using Stub = v1::VmService::Stub;
    const auto create = [&](const std::function<void(v1::CreateVmRequest&)>& fill) {
      return Call(vms(), &Stub::CreateVm, With<v1::CreateVmRequest>(fill));
    };
    invalid("CreateVm: nothing at all", create([](auto&) {}), "vm_id");
    invalid("CreateVm: an id that is a path", create([](auto& r) { r.set_vm_id("../../etc/passwd"); }), "vm_id");
    invalid("CreateVm: a request_id of 100 KB", create([](auto& r) {
              r.set_vm_id("new");
              r.set_request_id(std::string(100'000, 'x'));
            }),
            "request_id");
    add("CreateVm: a name that is taken", create([](auto& r) { r.set_vm_id("there"); }), StatusCode::ALREADY_EXISTS,
        "VM_EXISTS");
    add("CreateVm: a CID that is taken", create([](auto& r) {
          r.set_vm_id("new");
          r.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(50);
        }),
        StatusCode::ALREADY_EXISTS, "CID_IN_USE");
    add("CreateVm: a socket of somebody else", create([this](auto& r) {
          r.set_vm_id("new");
          r.mutable_vm()->mutable_spec()->set_vhost_user_socket(paths_.allowed + "/foreign.sock");
        }),
        StatusCode::ALREADY_EXISTS, "SOCKET_PATH_BUSY");
    add("CreateVm: a request_id that another request has had", create([](auto& r) {
          r.set_vm_id("another");
          r.set_request_id("once");
        }),
        StatusCode::INVALID_ARGUMENT, "REQUEST_ID_REUSED");

    const auto update = [&](const std::function<void(v1::UpdateVmRequest&)>& fill) {
      v1::UpdateVmRequest request;
      request.mutable_vm()->set_name("vms/there");
      fill(request);
      return Call(vms(), &Stub::UpdateVm, request);
    };
    for (const char* path :
         {"nosuch", "spec.nosuch", "spec.cid", "status.state", "spec.quota.nosuch", "", "labels.tier"}) {
      invalid(absl::StrCat("UpdateVm: the path \"", path, "\""),
              update([&](auto& r) { r.mutable_update_mask()->add_paths(path); }), "update_mask");
    }
    invalid("UpdateVm: something that cannot change",
            update([](auto& r) { r.mutable_vm()->mutable_spec()->set_queue_size(64); }), "vm.spec.queue_size");
    invalid("UpdateVm: nobody", update([](auto& r) { r.mutable_vm()->clear_name(); }), "vm.name");
    add("UpdateVm: a stale etag", update([](auto& r) {
          r.set_etag("stale");
          r.mutable_update_mask()->add_paths("labels");
        }),
        StatusCode::ABORTED, "ETAG_MISMATCH");
    add("UpdateVm: a VM that is not there", update([](auto& r) { r.mutable_vm()->set_name("vms/gone"); }),
        StatusCode::NOT_FOUND, "VM_NOT_FOUND");
    add("UpdateVm: a request_id of another method", update([](auto& r) { r.set_request_id("once"); }),
        StatusCode::INVALID_ARGUMENT, "REQUEST_ID_REUSED");
    add("ApplyVm: something that cannot change", Call(vms(), &Stub::ApplyVm, With<v1::ApplyVmRequest>([](auto& r) {
                                                        r.set_vm_id("there");
                                                        r.mutable_vm()->mutable_spec()->set_queue_size(64);
                                                      })),
        StatusCode::FAILED_PRECONDITION, "IMMUTABLE_FIELD");

    // What is only a name.
    for (const char* name : {"", "there", "vms/", "vms/../there", "vms/There", "networks/there"}) {
      const auto what = [&](const char* method) { return absl::StrCat(method, ": the name \"", name, "\""); };
      const auto named = [&](auto request) {
        request.set_name(name);
        return request;
      };
      invalid(what("GetVm"), Call(vms(), &Stub::GetVm, named(v1::GetVmRequest())), "name");
      invalid(what("DrainVm"), Call(vms(), &Stub::DrainVm, named(v1::DrainVmRequest())), "name");
      invalid(what("ResumeVm"), Call(vms(), &Stub::ResumeVm, named(v1::ResumeVmRequest())), "name");
      invalid(what("ResetVm"), Call(vms(), &Stub::ResetVm, named(v1::ResetVmRequest())), "name");
      invalid(what("DeleteVm"), Call(vms(), &Stub::DeleteVm, named(v1::DeleteVmRequest())), "name");
      v1::WaitVmRequest wait = named(v1::WaitVmRequest());
      wait.set_deleted(true);
      invalid(what("WaitVm"), Call(vms(), &Stub::WaitVm, wait), "name");
    }
    const auto gone = [](auto request) {
      request.set_name("vms/gone");
      return request;
    };
    const auto missing = [&](std::string what, std::function<grpc::Status()> send) {
      add(std::move(what), std::move(send), StatusCode::NOT_FOUND, "VM_NOT_FOUND");
    };
    missing("GetVm: a VM that is not there", Call(vms(), &Stub::GetVm, gone(v1::GetVmRequest())));
    missing("DrainVm: likewise", Call(vms(), &Stub::DrainVm, gone(v1::DrainVmRequest())));
    missing("ResumeVm: likewise", Call(vms(), &Stub::ResumeVm, gone(v1::ResumeVmRequest())));
    missing("ResetVm: likewise", Call(vms(), &Stub::ResetVm, gone(v1::ResetVmRequest())));
    missing("DeleteVm: likewise", Call(vms(), &Stub::DeleteVm, gone(v1::DeleteVmRequest())));

    const auto drain = [&](const std::function<void(v1::DrainVmRequest&)>& fill) {
      v1::DrainVmRequest request;
      request.set_name("vms/there");
      fill(request);
      return Call(vms(), &Stub::DrainVm, request);
    };
    invalid("DrainVm: a deadline for nothing", drain([](auto& r) { r.mutable_deadline()->set_seconds(1); }),
            "deadline");
    invalid("DrainVm: a deadline of ages", drain([](auto& r) {
              r.set_reset_remaining(true);
              r.mutable_deadline()->set_seconds(INT64_MAX);
            }),
            "deadline");
    add("DrainVm: a stale etag", drain([](auto& r) { r.set_etag("stale"); }), StatusCode::ABORTED, "ETAG_MISMATCH");

    const auto remove = [&](const std::function<void(v1::DeleteVmRequest&)>& fill) {
      v1::DeleteVmRequest request;
      request.set_name("vms/there");
      fill(request);
      return Call(vms(), &Stub::DeleteVm, request);
    };
    add("ResumeVm: a stale etag", Call(vms(), &Stub::ResumeVm, With<v1::ResumeVmRequest>([](auto& r) {
                                         r.set_name("vms/there");
                                         r.set_etag("stale");
                                       })),
        StatusCode::ABORTED, "ETAG_MISMATCH");
    add("ResetVm: a stale etag", Call(vms(), &Stub::ResetVm, With<v1::ResetVmRequest>([](auto& r) {
                                        r.set_name("vms/there");
                                        r.set_etag("stale");
                                      })),
        StatusCode::ABORTED, "ETAG_MISMATCH");
    const auto reset = [&](const std::function<void(v1::CidRequest&)>& fill) {
      v1::ResetVmRequest request;
      request.set_name("vms/there");
      fill(*request.mutable_new_cid());
      return Call(vms(), &Stub::ResetVm, request);
    };
    invalid("ResetVm: a reserved CID", reset([](auto& cid) { cid.set_static_cid(2); }), "new_cid.static_cid");
    invalid("ResetVm: a range from nowhere", reset([](auto& cid) { cid.mutable_range()->set_last(9); }),
            "new_cid.range.first");
    invalid("ResetVm: a range that ends before it begins", reset([](auto& cid) {
              cid.mutable_range()->set_first(9);
              cid.mutable_range()->set_last(8);
            }),
            "new_cid.range");
    invalid("ResetVm: automatic, but not", reset([](auto& cid) { cid.set_automatic(false); }), "new_cid.automatic");
    invalid("ResetVm: a reservation that is none", reset([](auto& cid) { cid.set_reservation("vms/there"); }),
            "new_cid.reservation");
    invalid("ResetVm: a reservation in another network",
            reset([](auto& cid) { cid.set_reservation("networks/elsewhere/cids/50"); }), "new_cid.reservation");
    add("ResetVm: a reservation that is not there",
        reset([](auto& cid) { cid.set_reservation("networks/default/cids/4711"); }), StatusCode::NOT_FOUND,
        "CID_NOT_FOUND");
    add("ApplyVm: a stale etag", Call(vms(), &Stub::ApplyVm, With<v1::ApplyVmRequest>([](auto& r) {
                                        r.set_vm_id("there");
                                        r.set_etag("stale");
                                        (*r.mutable_vm()->mutable_labels())["tier"] = "web";
                                      })),
        StatusCode::ABORTED, "ETAG_MISMATCH");
    const auto reused = [&](const char* method, std::function<grpc::Status()> send) {
      add(absl::StrCat(method, ": a request_id of another method"), std::move(send), StatusCode::INVALID_ARGUMENT,
          "REQUEST_ID_REUSED");
    };
    const auto once = [](auto request) {
      request.set_name("vms/there");
      request.set_request_id("once");
      return request;
    };
    reused("DrainVm", Call(vms(), &Stub::DrainVm, once(v1::DrainVmRequest())));
    reused("ResumeVm", Call(vms(), &Stub::ResumeVm, once(v1::ResumeVmRequest())));
    reused("ResetVm", Call(vms(), &Stub::ResetVm, once(v1::ResetVmRequest())));
    reused("DeleteVm", Call(vms(), &Stub::DeleteVm, once(v1::DeleteVmRequest())));
    reused("ApplyVm", Call(vms(), &Stub::ApplyVm, With<v1::ApplyVmRequest>([](auto& r) {
                             r.set_vm_id("there");
                             r.set_request_id("once");
                           })));
    add("DeleteVm: another VM of that name", remove([](auto& r) { r.set_uid("other"); }), StatusCode::ABORTED,
        "UID_MISMATCH");
    add("DeleteVm: a stale etag", remove([](auto& r) { r.set_etag("stale"); }), StatusCode::ABORTED, "ETAG_MISMATCH");
    invalid("DeleteVm: nanoseconds of seconds",
            remove([](auto& r) { r.mutable_drain_timeout()->set_nanos(INT32_MAX); }), "drain_timeout");

    const auto wait = [&](const std::function<void(v1::WaitVmRequest&)>& fill) {
      v1::WaitVmRequest request;
      request.set_name("vms/there");
      fill(request);
      return Call(vms(), &Stub::WaitVm, request);
    };
    invalid("WaitVm: for nothing", wait([](auto&) {}), "goal");
    invalid("WaitVm: for no condition", wait([](auto& r) { r.set_condition("Happiness"); }), "condition");
    invalid("WaitVm: for no state", wait([](auto& r) { r.set_state(static_cast<v1::VmStatus::State>(99)); }), "state");
    invalid("WaitVm: a negative generation", wait([](auto& r) { r.set_min_generation(-1); }), "min_generation");

    const auto list = [&](const std::function<void(v1::ListVmsRequest&)>& fill) {
      return Call(vms(), &Stub::ListVms, With<v1::ListVmsRequest>(fill));
    };
    invalid("ListVms: a negative page", list([](auto& r) { r.set_page_size(-1); }), "page_size");
    invalid("ListVms: a page token", list([](auto& r) { r.set_page_token("x"); }), "page_token");
    invalid("ListVms: a filter", list([](auto& r) { r.set_filter("nosuch = 1"); }), "filter");
    invalid("ListVms: a filter of 100 KB", list([](auto& r) { r.set_filter(std::string(100'000, '(')); }), "filter");
  }

  void AddOthers(std::vector<Case>& cases) {
    const auto add = [&](std::string what, std::function<grpc::Status()> send, StatusCode code, const char* reason,
                         const char* field = "") {
      cases.push_back({std::move(what), std::move(send), code, reason, field});
    };
    const auto invalid = [&](std::string what, std::function<grpc::Status()> send, const char* field) {
      add(std::move(what), std::move(send), StatusCode::INVALID_ARGUMENT, "FIELD_INVALID", field);
    };
    using Connections = v1::ConnectionService::Stub;
    using Admin = v1::AdminService::Stub;
    const auto watch = [](const std::function<void(v1::WatchRequest&)>& fill) { return With<v1::WatchRequest>(fill); };
    const auto version = [&](const char* text) { return watch([=](auto& r) { r.set_resource_version(text); }); };
    invalid("WatchVms: no version", Stream(vms(), &v1::VmService::Stub::WatchVms, version("x")), "resource_version");
    add("WatchVms: a version of somebody else", Stream(vms(), &v1::VmService::Stub::WatchVms, version("abc.1")),
        StatusCode::OUT_OF_RANGE, "RESOURCE_VERSION_EXPIRED");
    invalid("WatchVms: a filter",
            Stream(vms(), &v1::VmService::Stub::WatchVms, watch([](auto& r) { r.set_filter("("); })), "filter");
    invalid("WatchVms: bookmarks all the time", Stream(vms(), &v1::VmService::Stub::WatchVms, watch([](auto& r) {
                                                         r.mutable_bookmark_interval()->set_nanos(1);
                                                       })),
            "bookmark_interval");
    add("Reload: there is no file", Call(*admin_, &Admin::Reload, v1::ReloadRequest()), StatusCode::FAILED_PRECONDITION,
        "NO_CONFIG_FILE");
    invalid("WatchEvents: no version", Stream(*admin_, &Admin::WatchEvents, version("x")), "resource_version");

    const auto watch_connections = [&](const std::function<void(v1::WatchConnectionsRequest&)>& fill) {
      return Stream(*connections_, &Connections::WatchConnections, With<v1::WatchConnectionsRequest>(fill));
    };
    invalid("WatchConnections: of no VM", watch_connections([](auto& r) { r.set_vm("there"); }), "vm");
    invalid("WatchConnections: in no state",
            watch_connections([](auto& r) { r.add_states(static_cast<v1::Connection::State>(77)); }), "states[0]");
    invalid("WatchConnections: no version", watch_connections([](auto& r) { r.set_resource_version("x"); }),
            "resource_version");
    add("WatchConnections: a version of somebody else",
        watch_connections([](auto& r) { r.set_resource_version("abc.1"); }), StatusCode::OUT_OF_RANGE,
        "RESOURCE_VERSION_EXPIRED");
    const auto list = [&](const std::function<void(v1::ListConnectionsRequest&)>& fill) {
      return Call(*connections_, &Connections::ListConnections, With<v1::ListConnectionsRequest>(fill));
    };
    invalid("ListConnections: of no VM", list([](auto& r) { r.set_vm("there"); }), "vm");
    invalid("ListConnections: no order", list([](auto& r) { r.set_order_by("bytes"); }), "order_by");
    invalid("ListConnections: a page token", list([](auto& r) { r.set_page_token("x"); }), "page_token");
    const auto reset = [&](const char* name, size_t reason) {
      return Call(*connections_, &Connections::ResetConnection, With<v1::ResetConnectionRequest>([&](auto& r) {
        r.set_name(name);
        r.set_reason(std::string(reason, 'x'));
      }));
    };
    invalid("ResetConnection: no name", reset("there", 1), "name");
    add("ResetConnection: one of another start", reset("connections/x-1", 1), StatusCode::NOT_FOUND,
        "CONNECTION_NOT_FOUND");
    invalid("ResetConnection: a long reason", reset((paths_.connections + "1").c_str(), 1000), "reason");
    const auto stats = [&](const std::function<void(v1::GetStatsRequest&)>& fill) {
      return Call(*connections_, &Connections::GetStats, With<v1::GetStatsRequest>(fill));
    };
    invalid("GetStats: of no VM", stats([](auto& r) { r.set_scope(v1::GetStatsRequest::VM); }), "vm");
    invalid("GetStats: of no scope", stats([](auto& r) { r.set_scope(static_cast<v1::GetStatsRequest::Scope>(77)); }),
            "scope");
    invalid("GetStats: a negative number of pairs", stats([](auto& r) {
              r.set_scope(v1::GetStatsRequest::PAIR);
              r.set_top(-1);
            }),
            "top");
    invalid("StreamStats: all the time",
            Stream(*connections_, &Connections::StreamStats,
                   With<v1::StreamStatsRequest>([](auto& r) { r.mutable_interval()->set_nanos(1); })),
            "interval");
    invalid("SetLogLevel: none", Call(*admin_, &Admin::SetLogLevel, v1::SetLogLevelRequest()), "level");
    invalid("SetLogLevel: for ages", Call(*admin_, &Admin::SetLogLevel, With<v1::SetLogLevelRequest>([](auto& r) {
              r.set_level(v1::SetLogLevelRequest::INFO);
              r.mutable_duration()->set_seconds(INT64_MAX);
            })),
            "duration");
    invalid(
        "Drain: a long reason",
        Call(*admin_, &Admin::Drain, With<v1::DrainRequest>([](auto& r) { r.set_reason(std::string(10'000, 'x')); })),
        "reason");
  }

  // What is no request of any method, or too much of one.
  void AddBytes(std::vector<Case>& cases) {
    constexpr int kNoField = 1000;
    for (const char* name : {v1::VmService::service_full_name(), v1::ConnectionService::service_full_name(),
                             v1::NetworkService::service_full_name(), v1::ForwardService::service_full_name(),
                             v1::AdminService::service_full_name()}) {
      const auto* service = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
      for (int i = 0; i < service->method_count(); ++i) {
        const auto& method = *service->method(i);
        const auto add = [&](const char* what, const std::string& bytes, StatusCode code, const char* reason,
                             std::string field) {
          cases.push_back(
              {absl::StrCat(method.name(), ": ", what),
               [this, path = absl::StrCat("/", name, "/", method.name()), bytes] { return SendBytes(path, bytes); },
               code, reason, std::move(field)});
        };
        add("bytes that are no message", std::string(100, '\xff'), StatusCode::INVALID_ARGUMENT, "REQUEST_MALFORMED",
            "");
        add("a giant message", Field(kNoField, std::string(5u << 20, 'x')), StatusCode::RESOURCE_EXHAUSTED, "", "");
        const auto& request = *method.input_type();
        for (int f = 0; f < request.field_count(); ++f) {
          if (request.field(f)->type() != FieldDescriptor::TYPE_STRING) continue;
          add("text that is not UTF-8", Field(request.field(f)->number(), "\xff\xfe"), StatusCode::INVALID_ARGUMENT,
              "FIELD_INVALID", request.field(f)->name());
        }
      }
    }
    const std::string vm = Field(v1::Vm::kNameFieldNumber, "\xc0\x80");
    cases.push_back({"CreateVm: text deep inside that is not UTF-8",
                     [this, bytes = Field(v1::CreateVmRequest::kVmFieldNumber, vm)] {
                       return SendBytes("/kinsock.v1.VmService/CreateVm", bytes);
                     },
                     StatusCode::INVALID_ARGUMENT, "FIELD_INVALID", "Vm.name"});
  }

  // Any bytes as the request of a method; of a stream, the status that it ends with.
  grpc::Status SendBytes(const std::string& path, const std::string& bytes) {
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    SetDeadline(context);
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareUnaryCall(&context, path, request, &queue);
    call->StartCall();
    grpc::Status status;
    grpc::ByteBuffer response;
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return status;
  }

  v1::VmService::Stub& vms() { return *vms_; }

  const std::shared_ptr<grpc::Channel> channel_;
  const BadPaths paths_;
  const std::unique_ptr<v1::VmService::Stub> vms_;
  const std::unique_ptr<v1::ConnectionService::Stub> connections_;
  const std::unique_ptr<v1::AdminService::Stub> admin_;
};

}  // namespace

std::vector<BadRequest> BadRequests(std::shared_ptr<grpc::Channel> channel, const BadPaths& paths) {
  std::vector<BadRequest> requests = Catalogue::Of(std::make_shared<Catalogue>(channel, paths));
  for (BadRequest& bad : BadCaptureRequests(channel)) requests.push_back(std::move(bad));
  for (BadRequest& bad : BadTunnelRequests(channel)) requests.push_back(std::move(bad));
  for (BadRequest& bad : BadNetworkRequests(channel)) requests.push_back(std::move(bad));
  for (BadRequest& bad : BadForwardRequests(channel, paths)) requests.push_back(std::move(bad));
  return requests;
}

}  // namespace kinsock::testing
