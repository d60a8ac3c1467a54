#pragma once

#include "protocol/native/adapter/request.h"
#include "protocol/native/wire.pb.h"

/// The handlers of requests about transactions; each sees to it that the request is answered. Records of a transaction come with Produce.
namespace tidemark::native {

Status handle_begin_instance(const Request& request, const wire::BeginInstance& begin);
Status handle_join_transaction(const Request& request, const wire::JoinTransaction& join);
Status handle_commit_in_transaction(const Request& request, const wire::CommitInTransaction& commit);
Status handle_end_transaction(const Request& request, const wire::EndTransaction& end);

}  // namespace tidemark::native
