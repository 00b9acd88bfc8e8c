// SPDX-License-Identifier: Apache-2.0
#include "tests/server/bad_forward_requests.h"

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/server/forward_client.h"
#include "tests/server/request_call.h"
#include "tests/server/request_catalogue.h"

namespace kinsock::testing {
namespace {

using grpc::StatusCode;

class ForwardCatalogue : public RequestCatalogue<v1::ForwardService> {
 public:
  ForwardCatalogue(const std::shared_ptr<grpc::Channel>& channel, const BadPaths& paths) : RequestCatalogue(channel) {
    AddSpoiled(paths);
    AddTaken(paths);
    AddOthers();
  }

 private:
  Send Create(const std::string& listen, const std::function<void(v1::CreateForwardRequest&)>& fill = nullptr) {
    v1::CreateForwardRequest request = ForwardClient::ToGuest("new", "there", 22, listen);
    if (fill != nullptr) fill(request);
    return Call(*stub_, &Stub::CreateForward, request);
  }
  Send Lead(const std::string& target) {
    return Call(*stub_, &Stub::CreateForward, ForwardClient::FromGuest("new", "there", 514, target));
  }

  // Everything there is to say of a forward.
  void AddSpoiled(const BadPaths& paths) {
    const std::string good = "unix:" + paths.allowed + "/new";
    struct Spoiled {
      const char* what;
      std::function<void(v1::CreateForwardRequest&)> spoil;
      const char* field;
    };
    const std::vector<Spoiled> all = {
        {"an id that is a path", [](auto& r) { r.set_forward_id("../../etc/passwd"); }, "forward_id"},
        {"a request_id of 100 KB", [](auto& r) { r.set_request_id(std::string(100'000, 'x')); }, "request_id"},
        {"no VM", [](auto& r) { r.mutable_forward()->clear_vm(); }, "forward.vm"},
        {"a VM that is a path", [](auto& r) { r.mutable_forward()->set_vm("vms/../there"); }, "forward.vm"},
        {"no port", [](auto& r) { r.mutable_forward()->clear_guest_port(); }, "forward.guest_port"},
        {"any port", [](auto& r) { r.mutable_forward()->set_guest_port(UINT32_MAX); }, "forward.guest_port"},
        {"no direction", [](auto& r) { r.mutable_forward()->clear_direction(); }, "forward.direction"},
        {"a direction that is none",
         [](auto& r) { r.mutable_forward()->set_direction(static_cast<v1::Forward::Direction>(77)); },
         "forward.direction"},
        {"both ends on the host", [](auto& r) { r.mutable_forward()->set_target("tcp:127.0.0.1:80"); },
         "forward.target"},
        {"an owner that is nobody",
         [](auto& r) { r.mutable_forward()->mutable_socket_access()->set_owner(std::string(10'000, 'x')); },
         "forward.socket_access.owner"},
        {"a group that is none", [](auto& r) { r.mutable_forward()->mutable_socket_access()->set_group("4294967295"); },
         "forward.socket_access.group"},
        {"a mode with set-user-ID", [](auto& r) { r.mutable_forward()->mutable_socket_access()->set_mode(04777); },
         "forward.socket_access.mode"},
    };
    for (const Spoiled& bad : all)
      Invalid(absl::StrCat("CreateForward: ", bad.what), Create(good, bad.spoil), bad.field);
    Invalid("CreateForward: nothing at all", Call(*stub_, &Stub::CreateForward, v1::CreateForwardRequest()),
            "forward_id");
    const std::vector<std::string> addresses = {
        "",
        "x",
        "unix:",
        "unix:a.sock",
        "unix:" + paths.forbidden + "/a.sock",
        "unix:" + paths.allowed + "/../forbidden/a.sock",
        "unix:" + paths.allowed + "/" + std::string(4000, 'x'),
        "unix:" + paths.allowed + "/a" + std::string(1, '\0') + "b",
        "tcp:",
        "tcp:localhost:80",
        "tcp:0.0.0.0:80",
        "tcp:192.0.2.1:80",
        "tcp:127.0.0.1:0",
        "tcp:127.0.0.1:65536",
        "tcp:[::]:80",
        "vsock:1:80",
    };
    for (const std::string& address : addresses) {
      const std::string shown = address.substr(0, 40);
      Invalid(absl::StrCat("CreateForward: to listen at \"", shown, "\""), Create(address), "forward.listen");
      Invalid(absl::StrCat("CreateForward: to lead to \"", shown, "\""), Lead(address), "forward.target");
    }
    Invalid("CreateForward: to listen through a symbolic link", Create("unix:" + paths.allowed + "/link/a.sock"),
            "forward.listen");
  }

  void AddTaken(const BadPaths& paths) {
    const std::string good = "unix:" + paths.allowed + "/new";
    Add("CreateForward: a VM that is not there", Create(good, [](auto& r) { r.mutable_forward()->set_vm("vms/gone"); }),
        StatusCode::NOT_FOUND, "VM_NOT_FOUND");
    Add("CreateForward: a socket of somebody else", Create("unix:" + paths.allowed + "/foreign.sock"),
        StatusCode::ALREADY_EXISTS, "SOCKET_PATH_BUSY");
  }

  void AddOthers() {
    for (const char* name : {"", "there", "forwards/", "forwards/../there", "forwards/There", "vms/there"}) {
      const auto what = [&](const char* method) { return absl::StrCat(method, ": the name \"", name, "\""); };
      Invalid(what("GetForward"),
              Call(*stub_, &Stub::GetForward, With<v1::GetForwardRequest>([&](auto& r) { r.set_name(name); })), "name");
      Invalid(what("DeleteForward"),
              Call(*stub_, &Stub::DeleteForward, With<v1::DeleteForwardRequest>([&](auto& r) { r.set_name(name); })),
              "name");
      Invalid(what("UpdateForward"), Call(*stub_, &Stub::UpdateForward, With<v1::UpdateForwardRequest>([&](auto& r) {
                r.mutable_forward()->set_name(name);
              })),
              "forward.name");
    }
    const auto missing = [&](const char* method, Send send) {
      Add(absl::StrCat(method, ": a forward that is not there"), std::move(send), StatusCode::NOT_FOUND,
          "FORWARD_NOT_FOUND");
    };
    const auto gone = [](auto& r) { r.set_name("forwards/gone"); };
    missing("GetForward", Call(*stub_, &Stub::GetForward, With<v1::GetForwardRequest>(gone)));
    missing("DeleteForward", Call(*stub_, &Stub::DeleteForward, With<v1::DeleteForwardRequest>(gone)));
    const auto update = [&](const char* path) {
      return Call(*stub_, &Stub::UpdateForward, With<v1::UpdateForwardRequest>([&](auto& r) {
        r.mutable_forward()->set_name("forwards/gone");
        if (path != nullptr) r.mutable_update_mask()->add_paths(path);
      }));
    };
    missing("UpdateForward", update(nullptr));
    for (const char* path : {"", "nosuch", "vm", "listen", "direction", "status.connects", "socket_access.mode"}) {
      Invalid(absl::StrCat("UpdateForward: the path \"", path, "\""), update(path), "update_mask");
    }
    const auto list = [&](const std::function<void(v1::ListForwardsRequest&)>& fill) {
      return Call(*stub_, &Stub::ListForwards, With<v1::ListForwardsRequest>(fill));
    };
    Invalid("ListForwards: a negative page", list([](auto& r) { r.set_page_size(-1); }), "page_size");
    Invalid("ListForwards: a page token", list([](auto& r) { r.set_page_token("x"); }), "page_token");
    Invalid("ListForwards: of no VM", list([](auto& r) { r.set_vm("there"); }), "vm");
  }
};

}  // namespace

std::vector<BadRequest> BadForwardRequests(std::shared_ptr<grpc::Channel> channel, const BadPaths& paths) {
  return ForwardCatalogue(channel, paths).Take();
}

}  // namespace kinsock::testing
