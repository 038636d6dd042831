package peer;

import java.io.File;
import org.apache.avro.Protocol;
import org.apache.avro.compiler.specific.SpecificCompiler;
import org.apache.avro.generic.GenericData.StringType;

/** Writes the classes of a protocol's records, as Avro's plug-ins for Maven and Gradle do: protocol, folder. */
public final class Generate {
    public static void main(String[] args) throws Exception {
        SpecificCompiler compiler = new SpecificCompiler(Protocol.parse(new File(args[0])));
        compiler.setStringType(StringType.String);
        compiler.compileToDestination(null, new File(args[1]));
    }
}
