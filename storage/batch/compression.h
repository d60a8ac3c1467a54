#pragma once

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"

namespace tidemark {

/// Packs `plain` in the framing Kafka's clients use: gzip stream, xerial snappy blocks, LZ4 frame, zstd frame. Codec::none is not allowed.
/// level 0 = the codec's default.
ByteVector compress(Codec codec, ByteView plain, int level = 0);

/// The reverse, stopping as soon as the output passes the limits. Takes raw snappy as well as xerial framing; zstd windows above 8 MiB
/// are refused. Errors: corrupt_batch, decompression_limit.
Result<ByteVector> decompress(Codec codec, ByteView packed, const DecompressionLimits& limits);

}  // namespace tidemark
