import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * Counts the words of the topic `lines` into the topic `counts`: key the word, value how often it has come so far. The words travel
 * through a repartition topic, the counts lie in a store with a changelog; so every word is in four topics and an offset at once.
 *
 * Usage: WordCount FILE, the properties of Kafka Streams. Ends with 1 when Streams gives up.
 */
public final class WordCount {
  public static void main(String[] arguments) throws Exception {
    Properties settings = new Properties();
    try (Reader in = Files.newBufferedReader(Path.of(arguments[0]))) {
      settings.load(in);
    }
    var strings = Serdes.String();
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream("lines", Consumed.with(strings, strings))
        .flatMapValues(line -> List.of(line.split(" ")))
        .groupBy((key, word) -> word, Grouped.with("words", strings, strings))
        .count(Materialized.as("totals"))
        .toStream()
        .mapValues(count -> count.toString())
        .to("counts", Produced.with(strings, strings));
    KafkaStreams streams = new KafkaStreams(builder.build(), settings);
    streams.setUncaughtExceptionHandler(error -> {
      error.printStackTrace();
      return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
    });
    streams.setStateListener((now, before) -> {
      System.out.println("state " + now);
      if (now == KafkaStreams.State.ERROR) Runtime.getRuntime().halt(1);
    });
    Runtime.getRuntime().addShutdownHook(new Thread(() ->
        System.out.println(streams.close(Duration.ofSeconds(30)) ? "closed" : "not closed in time")));
    streams.start();
  }
}
