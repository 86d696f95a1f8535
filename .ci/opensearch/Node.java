import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import org.codelibs.opensearch.runner.OpenSearchRunner;
import org.opensearch.Version;
import org.opensearch.http.HttpServerTransport;

/**
 * Runs one OpenSearch node on loopback, with ports of the system's choice and
 * its data in a temporary directory. When it answers it says so in one line on
 * standard output, {"version":"3.8.0","url":"http://127.0.0.1:34567"}; it ends
 * when standard input does. All else that is printed goes to standard error.
 */
public final class Node {
    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        System.setOut(System.err);
        Path home = Files.createTempDirectory("opensearch");
        OpenSearchRunner runner = new OpenSearchRunner();
        // Also when a signal ends it.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                runner.close();
            } catch (IOException e) {
                e.printStackTrace();
            }
            delete(home);
        }));
        runner.onBuild((number, settings) -> settings
            .put("network.host", "127.0.0.1")
            .put("http.port", "0")
            .put("transport.port", "0")
            .putList("node.roles", "cluster_manager", "data", "ingest")
            // Small, so that a request over them is soon made: the default is 100 MB, and a tenth of the heap.
            .put("http.max_content_length", "30mb")
            .put("indexing_pressure.memory.limit", "16mb")
            // The state of this machine's disk is not what is tested.
            .put("cluster.routing.allocation.disk.threshold_enabled", false));
        runner.build(OpenSearchRunner.newConfigs().basePath(home.toString()).clusterName("interop").numOfNode(1).useLogger());
        runner.ensureYellow();
        String address = runner.node().injector().getInstance(HttpServerTransport.class).boundAddress().publishAddress().toString();
        out.printf("{\"version\":\"%s\",\"url\":\"http://%s\"}%n", Version.CURRENT, address);
        out.flush();
        while (System.in.read() >= 0) {
            // Nothing is expected but the end.
        }
        System.exit(0);
    }

    private static void delete(Path dir) {
        try (var all = Files.walk(dir)) {
            for (Path p : (Iterable<Path>) all.sorted(Comparator.reverseOrder())::iterator) {
                Files.delete(p);
            }
        } catch (IOException e) {
            e.printStackTrace();
        }
    }
}
